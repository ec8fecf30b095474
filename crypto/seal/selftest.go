package seal

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"time"

	"roadseal/crypto/envelope"
	"roadseal/crypto/internal/xwing"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
)

// knownAnswer is the name of the object that SelfTest seals. filippo.io/age
// and crypto/open open that object in the tests.
const knownAnswer = "64a3d8934e78de6254ebedf395fa6b50c88288cd89c5a08d95063684af946da4"

// SelfTest seals a known content with known randomness and compares the object
// with a frozen answer. It takes about a millisecond on a desktop. An error
// means that this build, on this processor, makes files that nobody might ever
// open: nothing may be sealed.
func SelfTest() error { return stockTools().selfTest() }

func (t tools) selfTest() error {
	b, s, err := t.knownObject()
	if err != nil {
		return err
	}
	// The bytes are hashed here once more: a hash that lost count on the way,
	// or a name that belongs to other bytes, shows too.
	h := t.hash()
	h.Write(b)
	if s.Name.String() != knownAnswer || !bytes.Equal(h.Sum(nil), s.Name[:]) {
		return errors.New("self-test of sealing failed: the object differs from the known one, so this build or this processor computes wrongly")
	}
	return nil
}

// knownSeed is the identity that opens the known object.
func knownSeed() []byte { return bytes.Repeat([]byte{0x5e}, xwing.SeedSize) }

// knownObject has one reader and a dummy, two full chunks and a short one.
func (t tools) knownObject() ([]byte, Sealed, error) {
	t.random = rand.NewChaCha8([32]byte([]byte("roadseal self-test of sealing v1")))
	sk, err := xwing.PrivateKey(knownSeed())
	if err != nil {
		return nil, Sealed{}, err
	}
	public, err := sk.Public().MarshalBinary()
	if err != nil {
		return nil, Sealed{}, err
	}
	reader, err := recipient.New(public)
	if err != nil {
		return nil, Sealed{}, err
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	rec := record.Record{
		MediaType: "video/mp4", Stream: "event", Kind: "event", Source: "camera self-test", Channel: "F",
		Start: at, End: at.Add(time.Minute), Clock: "none", Boot: 1, Sequence: 2, File: "self-test.mp4",
	}
	content := make([]byte, 2*envelope.ChunkSize+1)
	for i := range content {
		content[i] = byte(i ^ i>>8)
	}
	var out bytes.Buffer
	s, err := t.object(&out, bytes.NewReader(content), rec, []recipient.Key{reader}, 2)
	return out.Bytes(), s, err
}
