package fetchtest

import (
	"bytes"
	"crypto/sha256"
	"sync"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

// Files are what a server has. Its methods may be called from any goroutine.
type Files struct {
	mu    sync.Mutex
	files map[string][]byte
	reads int
	each  func(n int)
}

// NewFiles makes Files that hold none.
func NewFiles() *Files { return &Files{files: map[string][]byte{}} }

// Put makes data the file called name.
func (f *Files) Put(name string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[name] = bytes.Clone(data)
}

// Remove leaves no file called name.
func (f *Files) Remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.files, name)
}

// Get returns the file called name, which the caller must not change.
func (f *Files) Get(name string) (data []byte, ok bool) {
	f.mu.Lock()
	each, n := f.each, f.reads
	f.reads++
	f.mu.Unlock()
	if each != nil {
		each(n)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	data, ok = f.files[name]
	return data, ok
}

// Each calls do with a growing number before each Get; nil ends that.
func (f *Files) Each(do func(n int)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.each = do
}

// Answer is what an honest collector says to an ASK (agent/wire/PROTOCOL.md).
func (f *Files) Answer(a wire.Ask) (out []wire.Message) {
	data, ok := f.Get(a.Name)
	if !ok {
		return []wire.Message{wire.Absent{Request: a.Request, Reason: wire.AbsentNone}}
	}
	hash := envelope.Name(sha256.Sum256(data))
	if a.File != hash && a.File != (envelope.Name{}) {
		return []wire.Message{wire.Absent{Request: a.Request, Reason: wire.AbsentChanged}}
	}
	size := int64(len(data))
	for i := range wire.MaxAsk {
		index := int64(a.First) + int64(i)
		if a.Wanted&(1<<i) != 0 && index < int64(wire.Blocks(size)) {
			out = append(out, wire.Part{Request: a.Request, File: hash, Size: size, Index: uint32(index),
				Block: data[index*wire.BlockSize : min((index+1)*wire.BlockSize, size)]})
		}
	}
	return out
}
