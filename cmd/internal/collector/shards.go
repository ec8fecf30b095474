package collector

import (
	"encoding/hex"
	"fmt"
	"strings"

	"roadseal/agent/wire"
)

// Shards is the set of shards that a collector owns.
type Shards [256]bool

// ParseShards reads a list such as ["00-7f", "a3"].
func ParseShards(list []string) (s Shards, err error) {
	for _, item := range list {
		first, last, isRange := strings.Cut(item, "-")
		if !isRange {
			last = first
		}
		a, okA := parseShard(first)
		b, okB := parseShard(last)
		if !okA || !okB || a > b {
			return s, fmt.Errorf(`%q is no shard; expected two lower-case hexadecimal digits or a range, as in "3a" or "00-7f"`, item)
		}
		for i := int(a); i <= int(b); i++ {
			if s[i] {
				return s, fmt.Errorf("shard %02x is listed twice", i)
			}
			s[i] = true
		}
	}
	if s == (Shards{}) {
		return s, fmt.Errorf(`no shard is listed; expected the shards that this collector owns, as in ["00-ff"] for all`)
	}
	return s, nil
}

func parseShard(text string) (byte, bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 1 || hex.EncodeToString(b) != text {
		return 0, false
	}
	return b[0], true
}

// owns reports whether the shard of a topic is in the set.
func (s *Shards) owns(shard string) bool {
	b, ok := parseShard(shard)
	return ok && s[b]
}

// String lists the ranges, as ParseShards reads them.
func (s Shards) String() string {
	var parts []string
	for i := 0; i < len(s); i++ {
		first := i
		for i < len(s) && s[i] {
			i++
		}
		switch i - first {
		case 0:
		case 1:
			parts = append(parts, fmt.Sprintf("%02x", first))
		default:
			parts = append(parts, fmt.Sprintf("%02x-%02x", first, i-1))
		}
	}
	return strings.Join(parts, ", ")
}

// Filters are the topic filters that cover the set.
func (s Shards) Filters() (filters []string) {
	for i, owned := range s {
		if owned {
			filters = append(filters, wire.UpFilter(fmt.Sprintf("%02x", i)))
		}
	}
	if len(filters) == len(s) {
		return []string{wire.UpFilter("+")}
	}
	return filters
}
