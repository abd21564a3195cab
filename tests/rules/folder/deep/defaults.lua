defaults { mode = "single" }
