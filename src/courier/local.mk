# src/courier: see README.md beside this file
