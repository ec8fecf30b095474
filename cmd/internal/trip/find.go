package trip

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A File may be a sealed object.
type File struct {
	Path string
	Size int64 // bytes, when it was found
}

// Find lists the files behind args: those of a store, that is a folder with a
// folder pool in it (nothing else of it is looked at); all files of any other
// folder, at any depth; or a single file. Symbolic links inside folders are
// left out. What cannot be read is reported to faulty, and the number of these
// is returned.
func Find(args []string, faulty func(path string, err error)) (files []File, faults int) {
	report := func(path string, err error) {
		faults++
		faulty(path, reason(err))
	}
	for _, arg := range args {
		st, err := os.Stat(arg)
		switch {
		case err != nil:
			report(arg, err)
		case !st.IsDir():
			files = append(files, File{arg, st.Size()})
		default:
			files = append(files, walk(arg, report)...)
		}
	}
	return files, faults
}

func walk(dir string, report func(string, error)) (files []File) {
	if st, err := os.Stat(filepath.Join(dir, "pool")); err == nil && st.IsDir() {
		dir = filepath.Join(dir, "pool")
	}
	// The function below returns no error, so neither does WalkDir.
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			report(path, err)
			return nil
		}
		if !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if err == nil {
			files = append(files, File{path, info.Size()})
		} else if !errors.Is(err, fs.ErrNotExist) { // its time in the store may be over
			report(path, err)
		}
		return nil
	})
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return files
}
