#ifndef MAIN_DEV_H
#define MAIN_DEV_H
/*
 * Development mode: `nudged --dev DIR [--rules DIR] [--templates DIR] [--port N]`.
 *
 * dev_main gets the whole command line, does everything up to the end of the daemon, and returns the
 * exit code of the program.  nudged.c calls it as soon as --dev stands anywhere on the command line.
 */
int dev_main(int argc, char **argv);

#endif
