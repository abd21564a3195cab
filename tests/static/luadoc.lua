-- luadoc.lua SRCDIR [--write]: nudged-rules(7) has every call, key, test method, tag and filter that the sources
-- have, and the table of events as lua/vocabulary.lua has it; --write puts the table in.

local src = arg[1] or "."
local page_name = src .. "/doc/nudged-rules.7"
local failed = false

local function read(name)
	local f <close> = assert(io.open(name))
	return f:read "a"
end

local function fail(...)
	print(string.format(...))
	failed = true
end

-- Names of sources that match, without the help of a shell's sort order.
local function list(pattern)
	local p <close> = assert(io.popen("LC_ALL=C ls " .. src .. "/" .. pattern))
	local names = {}
	for name in p:lines() do names[#names + 1] = name end
	return names
end

-- The text of the page as it is read, without its marks.
local function plain(text)
	return (text:gsub("\\%(dq", '"'):gsub("\\%(aq", "'"):gsub("\\%-", "-"):gsub("\\ ", " "))
end

local page = read(page_name)
local words = plain(page)

-- Is there a paragraph that begins with this?
local function has_paragraph(head)
	return words:find("\n.TP\n.B " .. head .. "\n", 1, true) ~= nil
end

-- The words of a section that are set in bold, as a set.
local function bold_words(from, to)
	local set = {}
	local part = words:match(from .. "(.-)" .. to) or ""
	for line in part:gmatch "[^\n]+" do
		if line:find "^%.BR? " then
			for word in line:gsub("^%.BR? ", ""):gmatch "[^%s,\"]+" do set[word] = true end
		end
	end
	return set
end

-- Calls: what is registered is described where it stands, and what is described is in the page.
for _, name in ipairs(list "src/engine/bind_*.c") do
	local text, described = read(name), {}
	for head in text:gmatch "/%*%*%* @function ([^\n]+)" do
		described[head:match "^[%w_]+"] = true
		if not has_paragraph(head) then fail("doc/nudged-rules.7 lacks: %s (%s)", head, name) end
	end
	for regs in text:gmatch "luaL_Reg [%w_]+_calls%[%] = (%b{})" do
		for call in regs:gmatch '{ "([%w_]+)", l_' do
			if not described[call] then fail("%s: no /*** @function of %s", name, call) end
		end
	end
end

-- What tests can call.
for _, name in ipairs(list "src/main/rule_test*.c") do
	for head in read(name):gmatch "/%*%*%* @%a+ ([^\n]-)   " do
		if not has_paragraph(head) then fail("doc/nudged-rules.7 lacks: %s (%s)", head, name) end
	end
end

-- Keys of rules: those that are read have a paragraph, the others are named as missing.
local missing = words:match "\n%.BR each.-is an error that says so%." or ""
for key, reader in read(src .. "/src/engine/rules_read.c"):gmatch '{ "([%w_]+)", ([%w_]+), [%a]+ }' do
	if reader == "NULL" then
		if not missing:find("%f[%w_]" .. key .. "%f[^%w_]") then
			fail("doc/nudged-rules.7 does not say that the key %s is missing", key)
		end
	elseif not has_paragraph(key) then
		fail("doc/nudged-rules.7 lacks the key %s", key)
	end
end

-- Templates.
local tags = bold_words("\nTags\n", "\n%.TP")
for tag in read(src .. "/src/engine/liquid_parse.c"):gmatch '\n\t{ "([^"]+)", [^,]+, parse_' do
	if not tags[tag] then fail("doc/nudged-rules.7 lacks the tag %s", tag) end
end
local filters = bold_words("\nFilters\n", "\n%.TP")
for filter in read(src .. "/src/engine/liquid_filter.c"):gmatch '\n\t{ "([^"]+)", filter_' do
	if not filters[filter] then fail("doc/nudged-rules.7 lacks the filter %s", filter) end
end

-- The table of events.
local vocabulary = dofile(src .. "/lua/vocabulary.lua")
local marks = { text = "", money = " $", number = " #", bool = " ?", time = " @", list = " []",
	object = " {}", any = " any" }
local out = {}

local function add(...)
	out[#out + 1] = string.format(...)
end

for _, type in ipairs(vocabulary.types) do
	local fields, below = {}, {}
	for _, field in ipairs(type.fields) do
		local name, kind = field[1], field[2]
		if not name:find(".", 1, true) then
			fields[#fields + 1] = name .. (marks[kind] or error(name))
		elseif not below[name:match "^[^.]+"] then
			below[name:match "^[^.]+"] = true
		end
	end
	add ".TP"
	add(".B %s", type.name)
	local says = {}
	if type.made then says[#says + 1] = "made by the daemon only" end
	if type.nobody then says[#says + 1] = "about nobody" end
	if type.does and not type.does:find "^made by the daemon" then says[#says + 1] = type.does end
	if #fields > 0 then add("%s%s", table.concat(fields, ", "), #says > 0 and ";" or "") end
	if #says > 0 then add("\\fI%s\\fR", table.concat(says, "; ")) end
	if #fields == 0 and #says == 0 then add "no fields of its own" end
end

-- Fields of the elements of a list, once: they are the same wherever there are products.
local line = {}
for _, type in ipairs(vocabulary.types) do
	if type.name == "order.placed" then
		for _, field in ipairs(type.fields) do
			local name = field[1]:match "^products%.(.+)"
			if name then line[#line + 1] = name .. marks[field[2]] end
		end
	end
end
add ".PP"
add "An element of"
add ".B products"
add("has %s.", table.concat(line, ", "))

local made = table.concat(out, "\n") .. "\n"
local head, old, tail = page:match '^(.-\n%.\\" events: begin\n)(.-)(%.\\" events: end\n.*)$'
if not head then
	fail("doc/nudged-rules.7 has no place for the table of events")
elseif arg[2] == "--write" then
	local f <close> = assert(io.open(page_name, "w"))
	f:write(head, made, tail)
elseif old ~= made then
	fail "doc/nudged-rules.7: the events are not those of lua/vocabulary.lua; run luadoc.lua with --write"
end

os.exit(not failed)
