package main

import (
	"cmp"
	"crypto/tls"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"roadseal/agent/config/strict"
	"roadseal/agent/profile"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/mirror"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
	"roadseal/crypto/mtls"
)

//go:embed collector.example.toml
var example string

// file is the configuration file; collector.example.toml explains each key.
type file struct {
	Broker struct {
		Address     string         `toml:"address"`
		ServerName  string         `toml:"server_name"`
		CA          string         `toml:"ca"`
		Certificate string         `toml:"certificate"`
		Key         string         `toml:"key"`
		Profile     string         `toml:"profile"`
		Limits      profile.Limits `toml:"limits"`
	} `toml:"broker"`
	Collector struct {
		Shards     []string `toml:"shards"`
		ReceiptKey string   `toml:"receipt_key"`
		StoreID    string   `toml:"store_id"`
		Stanzas    int      `toml:"stanzas"`
		Status     string   `toml:"status"`
	} `toml:"collector"`
	Store struct {
		Path     string       `toml:"path"`
		KeepFree strict.Bytes `toml:"keep_free"`
	} `toml:"store"`
	Repository struct {
		Path string `toml:"path"`
	} `toml:"repository"`
	Quota struct {
		Objects      int             `toml:"objects"`
		Bytes        strict.Bytes    `toml:"bytes"`
		TotalObjects int             `toml:"total_objects"`
		TotalBytes   strict.Bytes    `toml:"total_bytes"`
		Idle         strict.Duration `toml:"idle"`
		Age          strict.Duration `toml:"age"`
		Largest      []strict.Bytes  `toml:"largest"`
	} `toml:"quota"`
	Bench struct {
		Enabled bool `toml:"enabled"` // throw-away certificates, and no others
	} `toml:"bench"`
}

// settings are what the file says, read and checked.
type settings struct {
	address  string
	tls      *tls.Config
	identity mtls.Identity
	broker   profile.Limits
	shards   collector.Shards
	key      collector.Key
	storeID  [16]byte
	stanzas  int
	status   string // path; "" = none
	store    string // path
	quota    collector.Quota
	limits   objstore.Limits
	bench    bool

	repository string // path; "" = none
	// repositoryFault is what --check says of it. A folder that comes late is
	// no reason not to take objects.
	repositoryFault error
}

// namePrefix begins the common name of every collector: the broker's rules
// tell collectors from vehicles by it.
const namePrefix = "collector"

// load reads and checks a configuration. Its error holds every fault found.
func load(path string) (*settings, error) {
	var f file
	doc, err := strict.Load(path, &f)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c := &checker{doc: doc, folder: filepath.Dir(abs)}
	s := &settings{bench: f.Bench.Enabled}
	c.broker(s, &f)
	c.collector(s, &f)
	c.quota(s, &f)
	s.store = c.path(f.Store.Path, true, "store", "path")
	if s.repository = c.path(f.Repository.Path, false, "repository", "path"); s.repository != "" {
		if err := mirror.Check(s.repository); err != nil {
			s.repositoryFault = doc.Errorf([]any{"repository", "path"}, "%v", err)
		}
	}
	s.limits.Free = 1 << 30
	c.bytes("store", "keep_free", f.Store.KeepFree, &s.limits.Free)
	return s, errors.Join(c.faults...)
}

// checker gathers the faults of one file.
type checker struct {
	doc    *strict.Document
	folder string // that relative paths start from
	faults []error
}

func (c *checker) fault(table, key, format string, a ...any) {
	c.faults = append(c.faults, c.doc.Errorf([]any{table, key}, format, a...))
}

func (c *checker) path(p string, required bool, table, key string) string {
	if p == "" {
		if required {
			c.fault(table, key, `expected %s = "PATH"`, key)
		}
		return ""
	}
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.folder, p)
}

func (c *checker) broker(s *settings, f *file) {
	s.address = f.Broker.Address
	host, _, err := net.SplitHostPort(s.address)
	if err != nil || host == "" {
		c.fault("broker", "address", `expected address = "HOST:PORT", as in "10.1.2.3:8883"`)
	}
	name := f.Broker.ServerName
	if name == "" {
		name = host
	}
	s.broker = profile.Choose(f.Broker.Profile, f.Broker.Limits, func(key []any, format string, a ...any) {
		c.faults = append(c.faults, c.doc.Errorf(key, format, a...))
	})
	files := mtls.Files{
		CA:          c.path(f.Broker.CA, true, "broker", "ca"),
		Certificate: c.path(f.Broker.Certificate, true, "broker", "certificate"),
		Key:         c.path(f.Broker.Key, true, "broker", "key"),
	}
	if len(c.faults) > 0 {
		return
	}
	s.tls, s.identity, err = mtls.Client(mtls.Options{Files: files, ServerName: name, Bench: s.bench})
	if err != nil {
		c.fault("broker", culprit(files, err), "%v", err)
		return
	}
	if !strings.HasPrefix(s.identity.CommonName, namePrefix) {
		c.fault("broker", "certificate", `the certificate's common name is %q; expected that of a collector, which begins with %q`, s.identity.CommonName, namePrefix)
	}
}

// culprit is the key of the file that an error begins with.
func culprit(f mtls.Files, err error) string {
	switch text := err.Error(); {
	case strings.HasPrefix(text, f.CA+":"):
		return "ca"
	case strings.HasPrefix(text, f.Key+":"):
		return "key"
	}
	return "certificate"
}

func (c *checker) collector(s *settings, f *file) {
	var err error
	if s.shards, err = collector.ParseShards(f.Collector.Shards); err != nil {
		c.fault("collector", "shards", "%v", err)
	}
	if n, most := len(s.shards.Filters()), s.broker.Filters; most > 0 && n > most {
		c.fault("collector", "shards", "expected at most %d shards, or all 256: the broker allows that many subscriptions for one connection", most)
	}
	s.status = c.path(f.Collector.Status, false, "collector", "status")
	if s.stanzas = f.Collector.Stanzas; s.stanzas == 0 {
		s.stanzas = envelope.DefaultSlots
	}
	if s.stanzas < 1 || s.stanzas > envelope.MaxSlots {
		c.fault("collector", "stanzas", "expected 1 to %d, the same number in the whole fleet", envelope.MaxSlots)
	}
	path := c.path(f.Collector.ReceiptKey, true, "collector", "receipt_key")
	if path == "" {
		return
	}
	if s.key, err = readKey(path); err != nil {
		c.fault("collector", "receipt_key", "%v", err)
		return
	}
	s.storeID = s.key.StoreID()
	if text := f.Collector.StoreID; text != "" {
		id, err := hex.DecodeString(text)
		if err != nil || len(id) != len(s.storeID) {
			c.fault("collector", "store_id", "expected 32 hexadecimal digits, or nothing to take it from the key")
			return
		}
		copy(s.storeID[:], id)
	}
}

// keySize bounds a receipt key file in bytes; real ones have about 120.
const keySize = 16 << 10

func readKey(path string) (k collector.Key, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return k, fmt.Errorf("%s: there is no such file; make it with: roadseal-collector keygen -o %s", path, path)
	}
	if err != nil {
		return k, fmt.Errorf("cannot read the receipt key: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return k, fmt.Errorf("cannot read the receipt key: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() > keySize {
		return k, fmt.Errorf("%s: not a receipt key: expected a PEM file of at most %d bytes", path, keySize)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return k, fmt.Errorf("%s: mode %#o lets others sign receipts; hint: chmod 600 %s", path, st.Mode().Perm(), path)
	}
	data, err := io.ReadAll(io.LimitReader(f, keySize))
	if err != nil {
		return k, fmt.Errorf("cannot read the receipt key: %w", err)
	}
	if k, err = collector.ParseKey(data); err != nil {
		return k, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

func (c *checker) quota(s *settings, f *file) {
	q, in := collector.DefaultQuota(), &f.Quota
	total := int64(64 << 30)
	c.count("objects", in.Objects, &q.Objects)
	c.count("total_objects", in.TotalObjects, &q.Total)
	c.bytes("quota", "bytes", in.Bytes, &q.Bytes)
	c.bytes("quota", "total_bytes", in.TotalBytes, &total)
	q.Idle = cmp.Or(in.Idle.Duration, q.Idle)
	q.Age = cmp.Or(in.Age.Duration, q.Age)
	if n := len(in.Largest); n != 0 && n != wire.MaxClass {
		c.fault("quota", "largest", "expected %d sizes, one for each retention class", wire.MaxClass)
		return
	}
	for i, v := range in.Largest {
		if v < 1 || v > wire.MaxObject {
			c.fault("quota", "largest", "expected at most %v for each class; more does not fit the protocol", strict.Bytes(wire.MaxObject))
			return
		}
		q.Largest[i] = int64(v)
	}
	s.quota = q
	s.limits = objstore.Limits{Count: q.Total, Bytes: total, Age: q.Age}
}

// maxCount bounds the objects that may be arriving at once: each is an open
// file.
const maxCount = 1 << 16

func (c *checker) count(key string, value int, to *int) {
	if value < 0 || value > maxCount {
		c.fault("quota", key, "expected 1 to %d", maxCount)
	}
	*to = cmp.Or(value, *to)
}

func (c *checker) bytes(table, key string, value strict.Bytes, to *int64) {
	if value != 0 && value < 1<<20 {
		c.fault(table, key, "expected at least 1MiB")
	}
	*to = cmp.Or(int64(value), *to)
}
