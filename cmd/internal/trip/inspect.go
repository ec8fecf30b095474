package trip

import (
	"errors"

	"roadseal/crypto/envelope"
)

// An Outside is what anyone can see of a file.
type Outside struct {
	Path    string        `json:"path"`
	Size    int64         `json:"size"`              // bytes of the file
	Object  envelope.Name `json:"sha256"`            // of the whole file
	Named   bool          `json:"named"`             // the file's own name is an object's name
	Stanzas int           `json:"stanzas"`           // readers and dummies
	Plain   int64         `json:"plain"`             // bytes of content, padding and record
	Problem string        `json:"problem,omitempty"` // why it is no sealed object that is in order
}

// Inspect reads a file whole, without a key.
func Inspect(f File) Outside {
	o := Outside{Path: f.Path}
	if err := o.look(f); err != nil {
		o.Problem = err.Error()
	}
	return o
}

func (o *Outside) look(f File) error {
	h, size, err := openFile(f.Path)
	if err != nil {
		return err
	}
	defer h.Close()
	o.Size = size
	if o.Object, err = hash(h, size); err != nil {
		return err
	}
	name, named := f.name()
	o.Named = named
	// A damaged file is named damaged even where its header is not.
	if named && name != o.Object {
		return errDamaged
	}
	s, err := envelope.Inspect(h, size)
	o.Stanzas, o.Plain = s.Slots, s.Plain
	if err == nil && !envelope.OnGrid(s.Plain) {
		err = errors.New("an age file, but not a roadseal object: its length is not on the grid")
	}
	return err
}
