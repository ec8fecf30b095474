package bench

import (
	"fmt"
	"io"
	"strings"
)

// A Teller says to a person what a run is doing.
type Teller interface {
	// Step says what has been done, or begins now.
	Step(format string, args ...any)
	// Progress says how much of a long step is done, 0 to 1.
	Progress(done float64, text string)
}

// Console tells on a terminal or into a file.
type Console struct {
	W   io.Writer
	Bar bool // W is a terminal: show a progress bar

	drawn int // characters of the bar on the screen
}

// Step implements Teller.
func (c *Console) Step(format string, args ...any) {
	c.erase()
	c.print("%s\n", fmt.Sprintf(format, args...))
}

const barWidth = 20 // with the text, a line of 80 characters is enough

// Progress implements Teller.
func (c *Console) Progress(done float64, text string) {
	if !c.Bar {
		return
	}
	full := int(min(max(done, 0), 1) * barWidth)
	line := fmt.Sprintf("  [%s%s] %s", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), text)
	c.print("\r%s%s", line, strings.Repeat(" ", max(0, c.drawn-len(line))))
	c.drawn = len(line)
}

func (c *Console) erase() {
	if c.drawn > 0 {
		c.print("\r%s\r", strings.Repeat(" ", c.drawn))
		c.drawn = 0
	}
}

// print writes; a terminal that is gone is nothing to report to.
func (c *Console) print(format string, args ...any) { _, _ = fmt.Fprintf(c.W, format, args...) }
