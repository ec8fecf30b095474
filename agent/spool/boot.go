package spool

import (
	"io/fs"

	"roadseal/hal/durable"
)

// LastBoot is the highest start of the agent that an object in a spool's folder
// was made in, 0 if there is none.
func LastBoot(fsys durable.FS) (last uint32, err error) {
	err = fsys.List(".", func(d fs.DirEntry) error {
		if e, _, ok := parseFileName(d.Name()); ok {
			last = max(last, e.Boot)
		}
		return nil
	})
	return last, err
}
