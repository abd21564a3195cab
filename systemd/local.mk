# systemd: the unit (hardened; see tests/static/unit.sh), the user, the directory of the lock file
systemdsystemunit_DATA = systemd/nudged.service
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
EXTRA_DIST += systemd/nudged.service.in systemd/nudged.sysusers systemd/nudged.tmpfiles
CLEANFILES += systemd/nudged.service

systemd/nudged.service: systemd/nudged.service.in Makefile
	@$(MKDIR_P) systemd
	$(AM_V_GEN)$(SED) 's|@sbindir[@]|$(sbindir)|g' $(srcdir)/systemd/nudged.service.in >$@

install-data-hook:
	$(MKDIR_P) $(DESTDIR)$(sysusersdir) $(DESTDIR)$(tmpfilesdir)
	$(INSTALL_DATA) $(srcdir)/systemd/nudged.sysusers $(DESTDIR)$(sysusersdir)/nudged.conf
	$(INSTALL_DATA) $(srcdir)/systemd/nudged.tmpfiles $(DESTDIR)$(tmpfilesdir)/nudged.conf

uninstall-hook:
	rm -f $(DESTDIR)$(sysusersdir)/nudged.conf $(DESTDIR)$(tmpfilesdir)/nudged.conf
