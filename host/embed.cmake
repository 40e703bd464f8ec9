# cmake -DOUT=FILE.c -DNAME=VARIABLE -DFILES=A,B,... -P embed.cmake: the files, one behind the other,
# as a string of C. In bytes: a string literal may not be as long.
string(REPLACE "," ";" FILES "${FILES}")
set(bytes "")
foreach(file IN LISTS FILES)
  file(READ "${file}" hex HEX)
  string(APPEND bytes "${hex}")
endforeach()
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
  bytes "${bytes}")
file(WRITE "${OUT}" "extern const char ${NAME}[];\nconst char ${NAME}[] = {\n${bytes}0};\n")
