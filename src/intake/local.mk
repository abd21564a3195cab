# src/intake: see README.md beside this file
