package process

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// WriteConfig writes a program's configuration (TOML) for its owner alone. The
// keys of conf are the tables of the file.
func WriteConfig(path string, conf map[string]any) error {
	b, err := toml.Marshal(conf)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", filepath.Base(path), err)
	}
	return os.WriteFile(path, b, 0o600)
}
