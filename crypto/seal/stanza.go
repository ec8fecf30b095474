package seal

import (
	"fmt"

	"roadseal/crypto/envelope"
	"roadseal/crypto/internal/filekey"
	"roadseal/crypto/internal/xwing"
	"roadseal/crypto/recipient"
)

// header wraps the file key for each reader, fills up with dummies, and signs.
func (t tools) header(key *filekey.Key, to []recipient.Key, slots int) (*envelope.Header, error) {
	h := &envelope.Header{Stanzas: make([]envelope.Stanza, 0, slots)}
	if err := t.draw(h.Nonce[:]); err != nil {
		return nil, err
	}
	for i, reader := range to {
		s, err := t.wrap(key, reader.Bytes())
		if err != nil {
			return nil, fmt.Errorf("cannot seal to reader %d: %w", i+1, err)
		}
		h.Stanzas = append(h.Stanzas, s)
	}
	for len(h.Stanzas) < slots {
		s, err := t.dummy()
		if err != nil {
			return nil, err
		}
		h.Stanzas = append(h.Stanzas, s)
	}
	// A stanza's place must not tell whose it is, or that it is nobody's.
	if err := t.shuffle(h.Stanzas); err != nil {
		return nil, err
	}
	mac, err := key.MAC(h.Signed())
	if err != nil {
		return nil, err
	}
	h.MAC = mac
	return h, nil
}

// wrap seals the file key to one public key.
func (t tools) wrap(key *filekey.Key, public []byte) (s envelope.Stanza, err error) {
	pk, err := xwing.PublicKey(public)
	if err != nil {
		return s, err
	}
	sender, err := xwing.Suite().NewSender(pk, []byte(xwing.Info))
	if err != nil {
		return s, err
	}
	enc, sealer, err := sender.Setup(t.random)
	if err != nil {
		return s, err
	}
	body, err := sealer.Seal(key[:], nil)
	if err != nil {
		return s, err
	}
	if len(enc) != len(s.Enc) || len(body) != len(s.Body) {
		return s, fmt.Errorf("internal error: HPKE gave %d and %d bytes", len(enc), len(body))
	}
	copy(s.Enc[:], enc)
	copy(s.Body[:], body)
	return s, nil
}

// dummy wraps random bytes, not the file key, for a key that is forgotten at
// once: only who holds a reader's key can tell it from a reader's stanza.
func (t tools) dummy() (envelope.Stanza, error) {
	var seed [xwing.SeedSize]byte
	var key filekey.Key
	if err := t.draw(seed[:], key[:]); err != nil {
		return envelope.Stanza{}, err
	}
	sk, err := xwing.PrivateKey(seed[:])
	clear(seed[:])
	if err != nil {
		return envelope.Stanza{}, err
	}
	public, err := sk.Public().MarshalBinary()
	if err != nil {
		return envelope.Stanza{}, err
	}
	return t.wrap(&key, public)
}

// shuffle puts the stanzas into a random order, each with equal probability
// (Fisher and Yates).
func (t tools) shuffle(s []envelope.Stanza) error {
	for i := len(s) - 1; i > 0; i-- {
		j, err := t.below(i + 1)
		if err != nil {
			return err
		}
		s[i], s[j] = s[j], s[i]
	}
	return nil
}

// below draws a number from 0 to n-1, for n up to 256, without bias.
func (t tools) below(n int) (int, error) {
	var b [1]byte
	for limit := 256 - 256%n; ; {
		if err := t.draw(b[:]); err != nil {
			return 0, err
		}
		if int(b[0]) < limit {
			return int(b[0]) % n, nil
		}
	}
}
