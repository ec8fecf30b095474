// Command conformance is a TUF client for theupdateframework/tuf-conformance:
// it speaks that suite's CLIENT-CLI.md and judges metadata with the code of the
// vehicle, crypto/signed. Only here are RSA signatures understood.
//
// Side: black.
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"roadseal/crypto/signed"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// A client is one run of the command.
type client struct {
	metadataDir, metadataURL  string
	targets                   []string
	targetBaseURL, targetsDir string
}

func run(args []string) error {
	c := client{}
	f := flag.NewFlagSet("conformance", flag.ContinueOnError)
	f.StringVar(&c.metadataDir, "metadata-dir", "", "folder of trusted metadata")
	f.StringVar(&c.metadataURL, "metadata-url", "", "where metadata is fetched from")
	f.Func("target-name", "a target to fetch; may be given again", func(s string) error { c.targets = append(c.targets, s); return nil })
	f.StringVar(&c.targetBaseURL, "target-base-url", "", "where targets are fetched from")
	f.StringVar(&c.targetsDir, "target-dir", "", "folder of fetched targets")
	verb := ""
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			return err
		}
		if args = f.Args(); len(args) > 0 && verb == "" {
			verb, args = args[0], args[1:]
		} else {
			break
		}
	}
	switch verb {
	case "init":
		if f.NArg() != 1 {
			return errors.New("expected init ROOT")
		}
		return c.start(f.Arg(0))
	case "refresh":
		_, _, err := c.refresh()
		return err
	case "download":
		return c.download()
	}
	return errors.New("expected init, refresh or download")
}

func (c client) start(root string) error {
	data, err := os.ReadFile(root)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.metadataDir, "root.json"), data, 0o644)
}

// now is the time that the suite wants it to be: it calls the client under
// faketime, which Go programs do not notice and date does.
func now() (time.Time, error) {
	out, err := exec.Command("date", "+%s").Output()
	if err != nil {
		return time.Time{}, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return time.Unix(n, 0), err
}

func (c client) refresh() (*signed.Client, time.Time, error) {
	t, err := now()
	if err != nil {
		return nil, t, err
	}
	s, err := signed.Open(nil, web(c.metadataURL), folder(c.metadataDir), signed.Options{Name: "repository", Schemes: append(signed.Schemes(), rsaPSS())})
	if err != nil {
		return nil, t, err
	}
	return s, t, s.Refresh(context.Background(), t)
}

func (c client) download() error {
	s, t, err := c.refresh()
	if err != nil {
		return err
	}
	for _, name := range c.targets {
		target, err := s.Find(context.Background(), name, t)
		if err != nil {
			return err
		}
		if err := c.get(s, target); err != nil {
			return err
		}
	}
	return nil
}

// get fetches a target that is not there yet.
func (c client) get(s *signed.Client, target *signed.Target) error {
	to := filepath.Join(c.targetsDir, url.PathEscape(target.Path))
	if data, err := os.ReadFile(to); err == nil && target.Verify(data) == nil {
		return nil
	}
	name := target.Path
	if s.ConsistentSnapshot() {
		hash := target.Hashes["sha256"]
		if hash == "" {
			hash = target.Hashes["sha512"]
		}
		if _, err := hex.DecodeString(hash); err != nil || hash == "" {
			return errors.New("the target has no hash that could be its name")
		}
		dir, base := "", name
		if i := strings.LastIndex(name, "/"); i >= 0 {
			dir, base = name[:i+1], name[i+1:]
		}
		name = dir + hash + "." + base
	}
	data, err := get(strings.TrimSuffix(c.targetBaseURL, "/")+"/"+name, target.Length)
	if err != nil {
		return err
	}
	if err := target.Verify(data); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// get reads at most limit bytes from an address.
func get(address string, limit int64) ([]byte, error) {
	r, err := http.Get(address)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	switch r.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusForbidden:
		return nil, fs.ErrNotExist
	default:
		return nil, errors.New(r.Status)
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errors.New("endless data")
	}
	return data, err
}

// web is a repository's metadata behind an address.
type web string

func (w web) Fetch(_ context.Context, role string, version int64, limit int) ([]byte, error) {
	name := escape(role) + ".json"
	if version > 0 {
		name = strconv.FormatInt(version, 10) + "." + name
	}
	return get(strings.TrimSuffix(string(w), "/")+"/"+name, int64(limit))
}

// escape is for names of roles in addresses and of files: all but letters,
// digits and "_.-~" (RFC 3986, section 2.3).
func escape(role string) string { return strings.ReplaceAll(url.QueryEscape(role), "+", "%20") }

// folder is a store of trusted metadata as the suite looks at it.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), escape(name)+".json") }

func (f folder) Load(name string) ([]byte, error) { return os.ReadFile(f.path(name)) }

func (f folder) Save(name string, data []byte) error { return os.WriteFile(f.path(name), data, 0o644) }

func (f folder) Remove(name string) error {
	err := os.Remove(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
