package strict

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Duration is a positive time span in Go's notation: "90s", "10m", "1h30m".
// It is a struct so that a bare number, whose unit nobody knows, is refused.
type Duration struct{ time.Duration }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v <= 0 {
		return fmt.Errorf("expected a time span such as \"30s\", \"10m\" or \"2h\"")
	}
	d.Duration = v
	return nil
}

// Bytes is an amount of storage: "500MB", "8GiB", or a plain number of bytes.
type Bytes int64

var units = []struct {
	suffix string
	factor float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Bytes) UnmarshalText(b []byte) error {
	s := string(b)
	for _, u := range units {
		num, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
		if err != nil || !(n >= 0) || n*u.factor > math.MaxInt64/2 {
			break
		}
		*v = Bytes(n * u.factor)
		return nil
	}
	return fmt.Errorf("expected an amount of storage such as \"500MB\" or \"8GiB\"")
}

// String prints the largest binary unit that divides the amount.
func (v Bytes) String() string {
	for _, u := range []struct {
		suffix string
		shift  uint
	}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if v != 0 && v&(1<<u.shift-1) == 0 {
			return strconv.FormatInt(int64(v>>u.shift), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(v), 10) + "B"
}
