
dist_man_MANS += doc/nudged.8 doc/nudged.conf.5 doc/nudgectl.1
dist_man_MANS += doc/nudged-rules.7
