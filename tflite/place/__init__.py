"""Where and when a picture was taken: one rule for the workstation and the device. Standard library and Pillow only.

    fix         a position, and what is none: 0, 0, void, NaN, beyond the poles
    clock       times as cameras and logs write them, time zones, a camera's clock that is wrong
    exposure    a photograph's EXIF and XMP data
    flightlog   the flight's log, of any kind: csvlog, gpx, nmea, srt, mrk
    video       when a video began and when each of its frames was shown
    missing     in words, why pictures have no place

What a file says is never trusted: a value that cannot be is left out and named, and the rest is used.
"""
