local names = { "one", "two", "three" }
return { name = function(n) return names[n] or tostring(n) end }
