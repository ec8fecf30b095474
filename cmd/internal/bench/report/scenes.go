package report

// Scenes are what the page shows and report.json leaves out.
type Scenes struct {
	Track    []Point
	Clips    []Clip
	Outsider Outsider
	Holder   Holder
	Desk     Desk
}

// A Point is one fix as the key holder reads it.
type Point struct {
	At       float64 // s of the drive
	Lat, Lon float64 // degrees, WGS 84
	Speed    float64 // m/s; NaN = not said
}

// A Clip is a segment's place in the drive.
type Clip struct {
	Begin, End float64 // s of the drive
	Event      bool
	Rear       bool
}

// Outsider is what the operators of broker and store, and whoever robs them,
// have before them.
type Outsider struct {
	Topics  []string // all that were used
	Listing []string // lines of the store's listing
	Dump    []string // lines of a hex dump of one object's end
}

// Holder is what the reader's key makes of the same object.
type Holder struct {
	Record []string // lines of the text record
	Try    []string // commands that do the same without our software
}

// Desk is what the release desk reads of the vehicle's reports; empty if there was
// none.
type Desk struct {
	Reports []string // lines
	Try     []string // commands that read them again
}
