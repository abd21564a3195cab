# src/main: see README.md beside this file
