package signed_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// A turn is one version of a role: who may sign, how many must, and who does.
// Signers are letters, each a key of Ed25519; of ML-DSA if upper case.
type turn struct {
	keys      string
	threshold int
	by        string
	version   int64         // in the file, if it is not the one in its name
	attack    signed.Attack // "" if it is taken
}

// letters makes signers of letters.
type letters map[rune]sign.Signer

func (l letters) signers(t testing.TB, names string) (all []sign.Signer) {
	for _, c := range names {
		if l[c] == nil {
			scheme, seed := "ed25519", []byte(fmt.Sprintf("%032c", c))
			if c < 'a' {
				scheme = "ml-dsa-65"
			}
			s, err := sign.FromSeed(scheme, seed)
			require.NoError(t, err)
			l[c] = s
		}
		all = append(all, l[c])
	}
	return all
}

// role demands one signature of each kind if there are keys of both.
func (l letters) role(t testing.TB, v turn) sign.Role {
	r, kinds := sign.Role{Threshold: v.threshold}, map[string]int{}
	for _, s := range l.signers(t, v.keys) {
		r.Keys = append(r.Keys, s.Key())
		kinds[s.Key().Scheme] = 1
	}
	if len(kinds) > 1 {
		r.Thresholds = kinds
	}
	return r
}

// rootTurns are roots one after the other. Only the last of a line may be
// refused.
var rootTurns = map[string][]turn{
	"a key for a key":                              {{"a", 1, "a", 0, ""}, {"b", 1, "ab", 0, ""}, {"b", 1, "b", 0, ""}},
	"strangers sign as well":                       {{"a", 1, "dac", 0, ""}, {"b", 1, "dbac", 0, ""}, {"b", 1, "dbc", 0, ""}},
	"three of five, in turns":                      {{"abcde", 3, "ace", 0, ""}, {"abcde", 3, "aeb", 0, ""}, {"abcde", 3, "abd", 0, ""}, {"abcde", 3, "abd", 0, ""}},
	"one of five is another":                       {{"abcde", 3, "ace", 0, ""}, {"abdef", 3, "aeb", 0, ""}},
	"one of five is another, in two steps":         {{"abcde", 3, "ace", 0, ""}, {"abdef", 3, "acef", 0, ""}, {"abdef", 3, "aef", 0, ""}},
	"all five are others":                          {{"abcde", 3, "ace", 0, ""}, {"fghij", 3, "acefgh", 0, ""}, {"fghij", 3, "fgh", 0, ""}},
	"a higher threshold":                           {{"abc", 1, "a", 0, ""}, {"abc", 2, "ab", 0, ""}},
	"a lower threshold":                            {{"abc", 2, "ab", 0, ""}, {"abc", 1, "ab", 0, ""}, {"abc", 1, "a", 0, ""}},
	"a key more, and a higher threshold":           {{"a", 1, "a", 0, ""}, {"ab", 2, "ab", 0, ""}},
	"a key for a key and back":                     {{"a", 1, "a", 0, ""}, {"b", 1, "ab", 0, ""}, {"a", 1, "ab", 0, ""}, {"a", 1, "a", 0, ""}},
	"the second kind is added, then demanded":      {{"a", 1, "a", 0, ""}, {"aA", 2, "aA", 0, ""}, {"aA", 2, "aA", 0, ""}},
	"the old kind is given up":                     {{"aA", 2, "aA", 0, ""}, {"A", 1, "aA", 0, ""}, {"A", 1, "A", 0, ""}},
	"not by the old key":                           {{"a", 1, "a", 0, ""}, {"b", 1, "bcd", 0, signed.Arbitrary}},
	"not by the new key":                           {{"a", 1, "a", 0, ""}, {"b", 1, "acd", 0, signed.Arbitrary}},
	"by two of the new five only":                  {{"abcde", 3, "ace", 0, ""}, {"abdef", 3, "ace", 0, signed.Arbitrary}},
	"by two of the old five only":                  {{"abcde", 3, "ace", 0, ""}, {"abdef", 3, "aef", 0, signed.Arbitrary}},
	"the new threshold is not reached":             {{"abc", 1, "a", 0, ""}, {"abc", 2, "b", 0, signed.Arbitrary}},
	"the old threshold is not reached":             {{"abc", 2, "ab", 0, ""}, {"abc", 1, "a", 0, signed.Arbitrary}},
	"by half of each":                              {{"ab", 2, "ab", 0, ""}, {"cd", 2, "ac", 0, signed.Arbitrary}},
	"a key that has left":                          {{"a", 1, "a", 0, ""}, {"b", 1, "ab", 0, ""}, {"b", 1, "a", 0, signed.Arbitrary}},
	"a key that will come":                         {{"a", 1, "a", 0, ""}, {"a", 1, "b", 0, signed.Arbitrary}},
	"the old kind alone, when both are demanded":   {{"a", 1, "a", 0, ""}, {"aA", 2, "aA", 0, ""}, {"aA", 2, "a", 0, signed.Arbitrary}},
	"two of the old kind, when both are demanded":  {{"abA", 2, "aA", 0, ""}, {"abA", 2, "ab", 0, signed.Arbitrary}},
	"two of the new kind, when both are demanded":  {{"aAB", 2, "aA", 0, ""}, {"aAB", 2, "AB", 0, signed.Arbitrary}},
	"the old kind takes the other out by itself":   {{"abA", 2, "aA", 0, ""}, {"ab", 2, "ab", 0, signed.Arbitrary}},
	"a version that skips one":                     {{"a", 1, "a", 0, ""}, {"a", 1, "a", 3, signed.Rollback}},
	"a version that skips one, later":              {{"a", 1, "a", 0, ""}, {"b", 1, "ab", 0, ""}, {"b", 1, "b", 4, signed.Rollback}},
	"the version of before":                        {{"a", 1, "a", 0, ""}, {"b", 1, "ab", 0, ""}, {"b", 1, "b", 2, signed.Rollback}},
	"the first version":                            {{"a", 1, "a", 0, ""}, {"b", 1, "ab", 0, ""}, {"a", 1, "ab", 1, signed.Rollback}},
	"the largest version that there is":            {{"a", 1, "a", 0, ""}, {"a", 1, "a", 1<<63 - 1, signed.Rollback}},
	"a root that nobody can follow, then no other": {{"a", 1, "a", 0, ""}, {"a", 2, "a", 0, signed.Arbitrary}},
}

// TestRotationsOfTheRoot: each root as the one before it and as itself demands;
// what was refused leaves the one before it in its place.
func TestRotationsOfTheRoot(t *testing.T) {
	named := letters{}
	for name, turns := range rootTurns {
		t.Run(name, func(t *testing.T) {
			w, store := newWorld(t), memory{}
			last, attack := int64(0), signed.Attack("")
			for i, v := range turns {
				file := fmt.Sprintf("%d.root", i+1)
				w.root.Version, w.root.Roles[signed.Root] = int64(i+1), named.role(t, v)
				if v.version != 0 {
					w.root.Version = v.version
				}
				w.files[file] = w.signedBy(w.root.Document(), named.signers(t, v.by)...)
				require.Empty(t, attack)
				if attack = v.attack; attack == "" {
					last++
				}
			}
			err := w.refresh(store)
			require.Equal(t, string(w.files[fmt.Sprintf("%d.root", last)]), string(store[signed.Root]))
			if attack == "" {
				require.NoError(t, err)
				require.NotEmpty(t, store[signed.Targets])
				return
			}
			require.Equal(t, attack, attackOf(t, err), "%v", err)
			require.Len(t, w.asks(), int(last), "nothing behind the root is asked for")
			require.Len(t, store, 1)
		})
	}
}

// roleTurns are of another role, in a root that everything else holds for.
var roleTurns = map[string]turn{
	"another key":                    {"b", 1, "b", 0, ""},
	"strangers sign as well":         {"a", 1, "cad", 0, ""},
	"three of five":                  {"abcde", 3, "ace", 0, ""},
	"three others of five":           {"abcde", 3, "aeb", 0, ""},
	"all of five":                    {"abcde", 3, "abcde", 0, ""},
	"both kinds":                     {"abAB", 2, "bA", 0, ""},
	"not by its key":                 {"b", 1, "acd", 0, signed.Arbitrary},
	"two of five and a stranger":     {"abdef", 3, "ace", 0, signed.Arbitrary},
	"two of five":                    {"abdef", 3, "ae", 0, signed.Arbitrary},
	"one kind twice":                 {"abAB", 2, "ab", 0, signed.Arbitrary},
	"the other kind twice":           {"abAB", 2, "AB", 0, signed.Arbitrary},
	"more than there are keys":       {"ab", 3, "abc", 0, signed.Arbitrary},
	"nobody":                         {"a", 1, "", 0, signed.Arbitrary},
	"a role of no keys":              {"", 1, "a", 0, signed.Arbitrary},
	"the highest threshold there is": {"a", 1<<31 - 1, "a", 0, signed.Arbitrary},
}

// TestSignersOfEachRole: of each role but the root.
func TestSignersOfEachRole(t *testing.T) {
	named := letters{}
	for at, role := range inOrder {
		if role == signed.Root {
			continue
		}
		for name, v := range roleTurns {
			t.Run(role+" "+name, func(t *testing.T) {
				w, store := newWorld(t), memory{}
				w.root.Roles[role] = named.role(t, v)
				w.publishRoot(w.pairs[signed.Root].signers()...)
				w.publishSigned(role, named.signers(t, v.by)...)
				err := w.refresh(store)
				if v.attack == "" {
					require.NoError(t, err)
					return
				}
				require.Equal(t, v.attack, attackOf(t, err))
				require.Len(t, store, at, "all before it is taken, and nothing else")
				require.Len(t, w.asks(), at+1)
			})
		}
	}
}

// publishSigned publishes timestamp, snapshot and targets, one of them signed
// by others.
func (w *world) publishSigned(role string, signers ...sign.Signer) {
	by := func(name string) []sign.Signer {
		if name == role {
			return signers
		}
		return w.pairs[name].signers()
	}
	d, err := w.targets.Document()
	require.NoError(w.t, err)
	targets := w.signedBy(d, by(signed.Targets)...)
	w.snapshot.Files = map[string]sign.File{signed.Targets: {Version: 1, Data: targets}}
	snapshot := w.signedBy(w.snapshot.Document(), by(signed.Snapshot)...)
	w.timestamp.Snapshot = snapshot
	w.files["1.targets"], w.files["1.snapshot"] = targets, snapshot
	w.files[signed.Timestamp] = w.signedBy(w.timestamp.Document(), by(signed.Timestamp)...)
}
