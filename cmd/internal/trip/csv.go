package trip

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"roadseal/agent/track"
)

// columnsLine begins the line of a batch that names its columns.
const columnsLine = "# columns: "

// WriteCSV writes every fix, the marked ones too: one header line, then trip,
// vehicle, boot and sequence before the columns of agent/track.
func WriteCSV(w io.Writer, trips []Trip) error {
	out := csv.NewWriter(w)
	if err := out.Write(append([]string{"trip", "vehicle", "boot", "sequence"}, columns()...)); err != nil {
		return err
	}
	for i, t := range trips {
		vehicle := ""
		if t.Vehicle != "" {
			vehicle = safe(t.Vehicle.Reveal()) // a spreadsheet must not take it for a formula
		}
		for _, f := range t.Fixes {
			row := []string{strconv.Itoa(i + 1), vehicle, strconv.FormatUint(uint64(t.Boot), 10), strconv.FormatUint(uint64(f.Sequence), 10)}
			line := strings.TrimSuffix(string(track.AppendFix(nil, f.Fix)), "\n")
			if err := out.Write(append(row, strings.Split(line, ",")...)); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// columns are those of agent/track, as it names them itself.
func columns() []string {
	for line := range strings.Lines(string(track.AppendHeader(nil, 0, 0))) {
		if names, ok := strings.CutPrefix(strings.TrimSpace(line), columnsLine); ok {
			return strings.Split(names, ",")
		}
	}
	return nil
}
