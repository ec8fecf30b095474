package agent

import (
	"log/slog"

	"roadseal/agent/config"
	"roadseal/agent/intake"
	"roadseal/agent/policy"
	"roadseal/hal/camera"
)

// Folder is the recorder's folder that a [[camera]] names.
func Folder(c config.Camera, log *slog.Logger) *camera.Folder {
	return camera.New(camera.Options{Name: c.Name, Path: c.Path, Pattern: c.Names, Owner: c.Owner,
		Rescan: c.Rescan.Duration, Log: log})
}

// camera is what intake is told of a [[camera]].
func (a *Agent) camera(c config.Camera) (intake.Camera, error) {
	cam := intake.Camera{Name: c.Name, Folder: Folder(c, a.log), Remove: c.AfterSeal == config.Remove}
	met, err := hasMet(a.state, c.Name)
	if met || err != nil {
		return cam, err
	}
	cam.Met = func() error { return writeMet(a.state, c.Name) }
	switch c.Existing {
	case config.ExistingEvents:
		cam.Leave = policy.Ring
	case config.ExistingNone:
		cam.Leave = func(string) bool { return true }
	}
	return cam, nil
}
