"""From files to images: every data set as `uint8` arrays with labels."""
