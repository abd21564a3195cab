# src/door: see README.md beside this file
