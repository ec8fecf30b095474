package disk

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// A Tree is what lies below a directory, by slash-separated Path: a file, or
// nil for a directory. Two names of one content are two names of one file.
type Tree map[string]*Content

// Write makes the tree below dir, which is emptied first.
func (t Tree) Write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	written := map[*Content]string{}
	for _, p := range slices.Sorted(maps.Keys(t)) { // parents come first
		file, b := filepath.Join(dir, p), t[p]
		var err error
		switch first, again := written[b]; {
		case b == nil:
			err = os.MkdirAll(file, 0o700)
		case again:
			err = os.Link(first, file)
		default:
			written[b] = file
			err = os.WriteFile(file, b.bytes(), 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// prune takes out what stands in a directory that is not there: where the name
// of a directory was lost, nothing finds what was in it.
func (t Tree) prune() Tree {
	for _, p := range slices.Sorted(maps.Keys(t)) { // parents come first
		if dir := filepath.Dir(p); dir != "." {
			if c, ok := t[dir]; !ok || c != nil {
				delete(t, p)
			}
		}
	}
	return t
}

// Digest tells trees apart.
func Digest(seed maphash.Seed, trees ...Tree) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for i, t := range trees {
		_ = h.WriteByte(byte(i)) // never fails
		for _, p := range slices.Sorted(maps.Keys(t)) {
			_, _ = h.WriteString(p + "\x00") // never fails
			if b := t[p]; b != nil {
				_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, b.hash(seed))) // never fails
			}
		}
	}
	return h.Sum64()
}
