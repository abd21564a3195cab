local words = require "words"

rule "with-defaults" {
  on  = "folder.begin",
  run = function(event)
    wait "1h"
    email { template = "plain", with = { word = words.pieces(event.n) } }
  end,
}
