package bench

import (
	"math/rand/v2"
	"os"
	"strings"

	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/recipient"
)

// enrolment is all that is made before a run: identities, keys and the secrets
// that will be looked for.
type enrolment struct {
	certs      pki.Files
	keys       trip.Keys // of the key holder
	reader     recipient.Key
	receiptKey string // public, as the vehicle's configuration pins it
	vehicle    string // number of the vehicle, sealed into every record
	mark       string // in every segment
}

func enrol(o Options, f folder) (e enrolment, err error) {
	if e.certs, err = pki.Make(f.pki()); err != nil {
		return e, err
	}
	file, reader, err := trip.NewKey(o.Now)
	if err != nil {
		return e, err
	}
	if err := os.WriteFile(f.key(), []byte(file), 0o600); err != nil {
		return e, err
	}
	if e.keys, err = trip.ReadKeys([]string{f.key()}, nil, nil); err != nil {
		return e, err
	}
	e.reader = reader
	if e.receiptKey, err = pki.ReceiptKey(o.Programs.Collector, f.receiptKey()); err != nil {
		return e, err
	}
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	e.vehicle = "BENCH-" + draw(rng, 12) // no vehicle identification number: those have no hyphen
	e.mark = "ROADSEAL-CANARY-" + draw(rng, 24)
	return e, nil
}

// draw draws n capital letters and digits.
func draw(rng *rand.Rand, n int) string {
	const letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
	var b strings.Builder
	for range n {
		b.WriteByte(letters[rng.IntN(len(letters))])
	}
	return b.String()
}
