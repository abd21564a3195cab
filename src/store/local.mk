# src/store: see README.md beside this file
