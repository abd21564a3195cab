# src/db: see README.md beside this file
