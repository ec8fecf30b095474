package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A Message is one MQTT PUBLISH as the broker took it in.
type Message struct {
	Time    time.Time
	Topic   string
	Payload []byte
}

const headerSize = 8 + 2 + 4

// maxPayload bounds what a damaged length makes the reader allocate.
const maxPayload = 1 << 20

// Path is the file for the n-th start of the broker.
func Path(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("%03d", n)) }

// A Writer writes one file of a capture. It may be used by several goroutines.
type Writer struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first one: what follows would not be whole
}

// Create makes a new file; one that exists is an error.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write the capture: %w", err)
	}
	return &Writer{file: f}, nil
}

// Publish adds a message with the time of now.
func (w *Writer) Publish(topic string, payload []byte) error {
	if len(topic) > math.MaxUint16 || len(payload) > maxPayload {
		return errors.New("message too long for the capture")
	}
	b := make([]byte, 0, headerSize+len(topic)+len(payload))
	b = binary.BigEndian.AppendUint64(b, uint64(time.Now().UnixNano()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = append(append(b, topic...), payload...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		_, w.err = w.file.Write(b)
	}
	return w.err
}

// Close closes the file and returns the first error of its life.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.err, w.file.Close())
}

// A Tail reads a capture while it grows.
type Tail struct {
	dir    string
	n      int
	file   *os.File // of start n; nil if it is not there yet
	offset int64
}

// Follow reads the capture in dir from its beginning.
func Follow(dir string) *Tail { return &Tail{dir: dir} }

// Next returns the next message, or false if there is none yet.
func (t *Tail) Next() (Message, bool, error) {
	for {
		if t.file == nil {
			f, err := os.Open(Path(t.dir, t.n))
			if errors.Is(err, os.ErrNotExist) {
				return Message{}, false, nil
			}
			if err != nil {
				return Message{}, false, fmt.Errorf("cannot read the capture: %w", err)
			}
			t.file, t.offset = f, 0
		}
		// Looked for before reading: a file that has a successor has its end.
		_, err := os.Stat(Path(t.dir, t.n+1))
		ended := err == nil
		m, whole, err := t.read()
		if whole || err != nil || !ended {
			return m, whole, err
		}
		if err := t.Close(); err != nil {
			return Message{}, false, err
		}
		t.n++
	}
}

// read reads one message of the open file, or none if it is not whole.
func (t *Tail) read() (Message, bool, error) {
	var head [headerSize]byte
	if whole, err := t.fill(head[:], t.offset); !whole {
		return Message{}, false, err
	}
	topic := int64(binary.BigEndian.Uint16(head[8:]))
	payload := int64(binary.BigEndian.Uint32(head[10:]))
	if payload > maxPayload {
		return Message{}, false, fmt.Errorf("capture is damaged: %d bytes of payload at byte %d, expected at most %d", payload, t.offset, maxPayload)
	}
	body := make([]byte, topic+payload)
	if whole, err := t.fill(body, t.offset+headerSize); !whole {
		return Message{}, false, err
	}
	t.offset += headerSize + topic + payload
	at := time.Unix(0, int64(binary.BigEndian.Uint64(head[:])))
	return Message{Time: at, Topic: string(body[:topic]), Payload: body[topic:]}, true, nil
}

func (t *Tail) fill(b []byte, offset int64) (bool, error) {
	n, err := t.file.ReadAt(b, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read the capture: %w", err)
	}
	return n == len(b), nil
}

// Close closes the file that is open.
func (t *Tail) Close() error {
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	t.file = nil
	return err
}
