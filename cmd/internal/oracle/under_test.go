package oracle

import (
	"testing"

	"roadseal/crypto/signed/sign"
)

// TestUnderThreshold: one signature of two is refused by both.
func TestUnderThreshold(t *testing.T) {
	r := newRepository(t)
	for _, role := range roles {
		both := r.signers[role]
		for _, few := range [][]sign.Signer{both[:1], both[1:], nil} {
			r.signers[role] = few
			data := r.file(role, r.bodies[role])
			if r.ours(role, data) == nil {
				t.Errorf("%s: %d signatures of two are enough for us", role, len(few))
			}
			if r.theirs(role, data) == nil {
				t.Errorf("%s: %d signatures of two are enough for go-tuf", role, len(few))
			}
			compare(t, r, role, data)
		}
		r.signers[role] = both
	}
}
