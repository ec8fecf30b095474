package judge

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"roadseal/cmd/internal/bench/canary"
	"roadseal/cmd/internal/bench/report"
)

// A Place is a folder that an outsider could get hold of.
type Place struct{ Name, Dir string }

// secrets tells a scanner all that must not be readable outside: the mark in
// the video, the vehicle number, the recorder's file names and the positions.
func (e Evidence) secrets() (*canary.Scanner, error) {
	s := canary.NewScanner()
	s.Secret("mark in the video", []byte(e.Mark))
	s.Secret("vehicle number", []byte(e.Number))
	for _, seg := range e.Plan {
		names := []string{seg.Name, seg.Opened}
		if seg.Lock != nil {
			names = append(names, seg.Lock.To)
		}
		for _, part := range strings.Split(strings.Join(names, "/"), "/") {
			// Others are the same on every card.
			if strings.ContainsAny(part, "0123456789") {
				s.Secret("file name of the recorder", []byte(strings.TrimSuffix(part, filepath.Ext(part))))
			}
		}
	}
	for _, p := range e.Recording.Valid {
		lat, lon, err := p.Degrees()
		if err != nil {
			return nil, err
		}
		s.Position(p.Lat, lat)
		s.Position(p.Lon, lon)
	}
	return s, nil
}

// search looks through all places.
func search(places []Place, s *canary.Scanner) (r report.Search, err error) {
	for _, p := range places {
		fsys := os.DirFS(p.Dir)
		hits, files, err := s.ScanTree(fsys, p.Name)
		if err != nil {
			return r, err
		}
		size, err := treeSize(fsys)
		if err != nil {
			return r, err
		}
		r.Places = append(r.Places, p.Name)
		r.Hits = append(r.Hits, hits...)
		r.Files += files
		r.Bytes += size
	}
	return r, nil
}

func treeSize(fsys fs.FS) (n int64, err error) {
	err = fs.WalkDir(fsys, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
