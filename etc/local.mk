
EXTRA_DIST += etc/nudged.conf etc/mosquitto.conf
# the sample is for reading; a configuration that is there already is never touched
dist_pkgdata_DATA = etc/nudged.conf etc/mosquitto.conf
