package bench

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"roadseal/cmd/internal/bench/canary"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
)

// secrets tells a scanner all that must not be readable outside: the mark in
// the video, the vehicle number, the recorder's file names and the positions.
func secrets(mark, vehicle string, plan []player.Segment, valid []player.Position) (*canary.Scanner, error) {
	s := canary.NewScanner()
	s.Secret("mark in the video", []byte(mark))
	s.Secret("vehicle number", []byte(vehicle))
	for _, seg := range plan {
		s.Secret("file name of the recorder", []byte(strings.TrimSuffix(seg.Name, filepath.Ext(seg.Name))))
	}
	for _, p := range valid {
		lat, lon, err := p.Degrees()
		if err != nil {
			return nil, err
		}
		s.Position(p.Lat, lat)
		s.Position(p.Lon, lon)
	}
	return s, nil
}

// search looks through all that an outsider could get hold of: the store, the
// vehicle's flash, its status, what the broker saw, and all logs.
func search(f folder, s *canary.Scanner) (r report.Search, err error) {
	for _, place := range []struct{ name, dir string }{
		{"store", f.store()}, {"state and spool", f.state()}, {"status", f.run()}, {"broker", f.capture()}, {"logs", f.logs()},
	} {
		fsys := os.DirFS(place.dir)
		hits, files, err := s.ScanTree(fsys, place.name)
		if err != nil {
			return r, err
		}
		size, err := treeSize(fsys)
		if err != nil {
			return r, err
		}
		r.Places = append(r.Places, place.name)
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
