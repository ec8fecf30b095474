package trip

import (
	"fmt"
	"io"
	"os"
	"time"

	"roadseal/crypto/open"
	"roadseal/crypto/recipient"
)

// Keys are the secret keys that objects are opened with.
type Keys []open.Identity

// ReadKeys reads age key files; "-" is stdin. warn is told of a file that
// others than its owner can read.
func ReadKeys(paths []string, stdin io.Reader, warn func(path, problem string)) (Keys, error) {
	var keys Keys
	for _, path := range paths {
		ids, err := readKeyFile(path, stdin, warn)
		if err != nil {
			return nil, fmt.Errorf("cannot use the key file %s: %w", Printable(path), err)
		}
		keys = append(keys, ids...)
	}
	return keys, nil
}

func readKeyFile(path string, stdin io.Reader, warn func(path, problem string)) (Keys, error) {
	if path == "-" {
		return open.ParseIdentities(stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, reason(err)
	}
	if st.IsDir() {
		return nil, fmt.Errorf("it is a folder")
	}
	if st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		warn(path, fmt.Sprintf("others can read this key file (mode %#o); hint: chmod 600", st.Mode().Perm()))
	}
	return open.ParseIdentities(f)
}

// Recipients are the public keys that belong to the keys.
func (k Keys) Recipients() []recipient.Key {
	var out []recipient.Key
	for _, id := range k {
		out = append(out, id.Recipient())
	}
	return out
}

// NewKey makes a secret key and returns the key file, as age-keygen -pq writes
// it, and the public key.
func NewKey(now time.Time) (file string, public recipient.Key, err error) {
	id, err := open.Generate()
	if err != nil {
		return "", recipient.Key{}, err
	}
	public = id.Recipient()
	file = fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", now.UTC().Format(time.RFC3339), public, id.Secret())
	return file, public, nil
}
