package camera

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"roadseal/hal/red"
)

// Why an entry is no segment, or not yet, in the words of `segments`.
const (
	notMatched    = "name does not match"
	badTime       = "name holds no valid time"
	badKind       = "kind is not known"
	badChannel    = "channel is not known"
	lowResolution = "low-resolution copy"
	notText       = "name is not plain text"
	hidden        = "hidden"
	systemEntry   = "entry of the file system"
	shortAlias    = "short-name alias"
	temporary     = "temporary name"
	vanished      = "vanished"
	notRegular    = "not a regular file"
	symbolicLink  = "symbolic link"
	empty         = "empty"
	foreignOwner  = "owner is not the recorder"
	foreignLink   = "hard link to a file of another owner"
	secondLink    = "another name, of the same kind, of a file already seen"
	tooLarge      = "larger than allowed"
	sparse        = "sparse file"
	notFinished   = "not finished"
	locked        = "not finished: a lock file is beside it"
	tooDeep       = "folder too deep, not read"
	tooMany       = "too many folders, not read"
)

// lockSuffix ends the name of a file that stands beside a segment while it is
// written (commaai/openpilot).
const lockSuffix = ".lock"

// rules decide which entries of a folder may be segments.
type rules struct {
	pattern   Pattern
	camera    string
	maxSize   int64
	owner     int64 // user number or anyone
	linkOwner int64 // whose files may have more than one name
}

// inode is what the kernel says of a file beyond fs.FileInfo.
type inode struct {
	dev, ino, links uint64
	allocated       int64 // bytes on the storage
	uid             uint32
}

func inodeOf(info fs.FileInfo) inode {
	st := info.Sys().(*syscall.Stat_t) // what package os gives on Linux
	return inode{dev: uint64(st.Dev), ino: uint64(st.Ino), links: uint64(st.Nlink), allocated: int64(st.Blocks) * 512, uid: st.Uid}
}

// look decides on the file at path below the folder. name is the same file
// below root, which may be a sub-directory.
func (r rules) look(root *os.Root, name, file string) sight {
	s := sight{name: name}
	if s.reason = junk(path.Base(file)); s.reason != "" {
		s.File = red.Text(file)
		return s
	}
	if s.Segment, s.reason = r.pattern.parse(file); s.reason != "" {
		return s
	}
	info, err := root.Lstat(name)
	if err != nil {
		s.reason = bare(err).Error()
		if errors.Is(err, fs.ErrNotExist) {
			s.reason = vanished
		}
		return s
	}
	s.Camera, s.info, s.Size, s.ModTime = r.camera, info, info.Size(), info.ModTime()
	s.reason = r.judge(info)
	return s
}

// isLocked reports whether a lock file stands beside a segment.
func isLocked(root *os.Root, name string) bool {
	_, err := root.Lstat(name + lockSuffix)
	return err == nil
}

// sparseSlack is how much of a small file may be without storage of its own:
// some file systems keep it in the inode.
const sparseSlack = 1 << 20

// judge says why a file must not be read, or "".
func (r rules) judge(info fs.FileInfo) string {
	in := inodeOf(info)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return symbolicLink
	case !info.Mode().IsRegular():
		return notRegular
	case r.owner != anyone && int64(in.uid) != r.owner:
		return foreignOwner
	case in.links > 1 && int64(in.uid) != r.linkOwner:
		return foreignLink
	case info.Size() == 0:
		return empty
	case info.Size() > r.maxSize:
		return tooLarge
	case info.Size() > sparseSlack && in.allocated < info.Size()/2:
		return sparse
	}
	return ""
}

// junk says why a name is never a segment or a folder of segments, or "".
func junk(name string) string {
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return notText
	}
	if strings.HasPrefix(name, ".") {
		return hidden
	}
	upper := strings.ToUpper(name)
	for _, j := range []struct{ pattern, reason string }{
		{"SYSTEM VOLUME INFORMATION", systemEntry}, {"$RECYCLE.BIN", systemEntry}, {"LOST.DIR", systemEntry},
		{"LOST+FOUND", systemEntry}, {"FOUND.[0-9][0-9][0-9]", systemEntry}, {"FSCK*.REC", systemEntry},
		{"*~[0-9].*", shortAlias},
		{"*.TMP", temporary}, {"*.TEMP", temporary}, {"*.PART", temporary}, {"*.LOCK", temporary}, {"*~", temporary},
	} {
		if ok, _ := path.Match(j.pattern, upper); ok {
			return j.reason
		}
	}
	return ""
}
