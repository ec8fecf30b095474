package release

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"roadseal/crypto/signed"
)

// Merge takes the signatures of a copy of a staged document that was signed
// elsewhere. It returns the staged document and how many signatures were new.
func (r *Repo) Merge(name string, data []byte) (*Doc, int, error) {
	copied, err := ReadDoc(name, data)
	if err != nil {
		return nil, 0, err
	}
	states, err := r.states()
	if err != nil {
		return nil, 0, err
	}
	var alike []string
	for _, s := range states {
		for _, d := range s.ready {
			if bytes.Equal(d.Signed(), copied.Signed()) {
				n, err := r.merge(d, copied, states)
				return d, n, err
			}
			if d.Type == copied.Type && d.Audience == copied.Audience {
				alike = append(alike, fmt.Sprintf("%s is %s", d.Name, Fingerprint(d)))
			}
		}
	}
	slices.Sort(alike)
	return nil, 0, fmt.Errorf("%s is no copy of a staged document: its digest is %s; staged: %s; hint: it was changed on its way, or staged anew since", name, Fingerprint(copied), list(alike))
}

// merge takes only signatures that hold: a wrong one would stand in the way of
// the right one.
func (r *Repo) merge(d, copied *Doc, states []*state) (n int, err error) {
	keys := r.keys(states)
	for _, s := range copied.Signatures() {
		k, ok := keys[s.KeyID]
		if !ok {
			return 0, fmt.Errorf("%s: it has a signature of a key %.12s that nobody holds", copied.Name, s.KeyID)
		}
		verify, err := k.key().Verifier()
		if err != nil || !verify(d.Signed(), s.Value) {
			return 0, fmt.Errorf("%s: %s: the signature of %s does not hold", copied.Name, signed.Arbitrary, r.Plan.Who(s.KeyID))
		}
		if d.Add(s) {
			n++
		}
	}
	if n == 0 {
		return 0, nil
	}
	return n, r.write(d.Name, d.Bytes())
}

// keys are all that documents or the plan know.
func (r *Repo) keys(states []*state) map[string]publicKey {
	all := map[string]publicKey{}
	for _, p := range r.Plan.People {
		for _, k := range p.Keys {
			all[k.ID()] = publicOf(k)
		}
	}
	for _, s := range states {
		for _, docs := range []map[string]*Doc{s.current, s.ready} {
			for _, d := range docs {
				maps.Copy(all, d.Keys)
				if d.Delegations != nil {
					maps.Copy(all, d.Delegations.Keys)
				}
			}
		}
	}
	return all
}
