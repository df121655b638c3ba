# What the title of a page is (shared/title.h).

load ../helper

setup_file() {
    use_program 01-sequential
    start_site
}

teardown_file() {
    stop_site
}

# titles BODY TITLE: the page has the title, in whatever pieces it comes.
titles() {
    fetch --quiet "$(say "$1" 'type=text/html;charset=utf-8')" \
        "$(say "$1" 'type=text/html;charset=utf-8' piece=1)" \
        "$(say "$1" 'type=text/html;charset=utf-8' piece=7)"
    assert_status 0
    assert_equal "$(cut -f 2 <<<"$output")" "$2"$'\n'"$2"$'\n'"$2"
}

# titles_as TYPE BODY TITLE: the page of this content type has the title.
titles_as() {
    fetch "$(say "$2" "type=$1")"
    assert_title "$3"
    fetch "$(say "$2" "type=$1" piece=1)"
    assert_title "$3"
}

@test "the title is the first <title>" {
    titles '<title>A</title><title>B</title>' A
    titles '<!doctype html><html><head><TITLE lang="en">A</TITLE ></head>' A
    titles '<h1>H</h1><title>A</title>' A
    titles '<title>never closed' 'never closed'
    titles '<title>A</titl</title' 'A</titl</title'
    titles '<title>A</titl</title ' 'A</titl'
    titles '<title>A</titlex></TITLE/>' 'A</titlex>'
}

@test "without a <title>, or with an empty one, it is the first <h1>" {
    titles '<h2>no</h2><h1>A <b>bold</b> one</h1><h1>B</h1>' 'A bold one'
    titles '<title></title><h1>H</h1>' H
    titles '<title> &nbsp; </title><title>B</title><h1>H</h1>' H
    titles '<h1>not closed' 'not closed'
}

@test "without either it is NONE" {
    titles '<p>text</p>' NONE
    titles '<title></title><h1></h1><h1>B</h1>' NONE
    fetch "$SITE/empty"
    assert_title NONE
}

@test "a </title> in a comment, a script, an attribute or a drawing ends nothing" {
    titles '<!-- </title> <title>no</title> --><title>Real</title>' Real
    titles '<script>"</title><title>no</title>"</script><title>Real</title>' Real
    titles '<meta content="</title><title>no</title>"><title>Real</title>' Real
    titles '<svg><title>no</title></svg><title>Real</title>' Real
    titles '<template><title>no</title></template><title>Real</title>' Real
    titles '<!-- <title>no</title> -->' NONE
}

@test "what only looks like </title> ends nothing" {
    local utf16='%FE%FF' letter text='<title>A'
    titles '<title>A</title%00>B</title>' 'A</title�>B'
    titles '<title>A<%00/title>B</title>' 'A<�/title>B'
    titles '<title>A</ti%00tle>B</title>' 'A</ti�tle>B'
    titles '<title>A</title%00></title%00></title><title>C</title>' 'A</title�></title�>'
    titles '<title/></head><body>hi</body>' '</head><body>hi</body>'
    for ((i = 0; i < ${#text}; i++)); do
        printf -v letter '%%00%%%02X' "'${text:i:1}"
        utf16+=$letter
    done
    titles_as text/html "$utf16</title>%00B%00<%00/%00t%00i%00t%00l%00e%00>" 'A㰯瑩瑬放B'
    titles_as 'text/html;charset=iso-2022-jp' '<title>%1B$B</title>%1B(B' '鹿��緇'
}

@test "a <title> that comes late is found, behind hundreds that are none" {
    local i none=''
    for i in {1..500}; do
        none+="<!--</title>$i-->"
    done
    titles "$none<title>Late</title>" Late
}

@test "the title does not depend on how many bytes come at once" {
    local padding
    padding=$(printf ' %.0s' {1..1100})
    fetch "$(say "$padding<title>5€</title><p>caf%E9</p><svg><title>i</title></svg>" piece=20)" \
        "$(say "$padding<title>5€</title><p>caf%E9</p><svg><title>i</title></svg>")"
    assert_equal "$(cut -f 2 <<<"$output")" '5€
5€'
    titles '<table><tr><td><title>A</title></td></tr><title>B</title></table>' A
}

@test "a title is one line without controls" {
    titles $'<title>\n  A\tB \r\n\f C </title>' 'A B C'
    titles $'<title>\e[2J\e]0;x\aA\x7F\b</title>' '[2J]0;xA'
    titles '<title>&#27;[2J&#x9b;A&#133;</title>' '[2J›A…'
    titles $'<title>a\u202Eb\u2066c\u200F\u061C</title>' abc
    titles $'<title>a\u00A0\u2028b\u0085c\vd</title>' 'a b c d'
    titles '<title>A&amp;B &lt;b&gt; &eacute;&hearts;</title>' 'A&B <b> é♥'
    titles '<title>a%00b</title>' 'a�b'
    titles '<p>%00</p><title>A</title>' A
}

@test "bytes that are not UTF-8 become U+FFFD" {
    titles_as 'text/html;charset=utf-8' '<title>a%FFb%E2%82c</title>' 'a�b�c'
}

@test "a title of 1 MB is told whole" {
    fetch "$SITE/title/1000000"
    assert_status 0
    assert_equal "$((${#output} - ${#SITE} - 15))" 1000000
}

@test "the character set is that of the byte order mark, then of the header, then of <meta>" {
    local utf8='%EF%BB%BF' koi8='<meta charset=koi8-r>'
    titles_as 'text/html;charset=koi8-r' "$utf8$koi8<title>%C3%A9</title>" é
    titles_as 'text/html;charset=utf-8' "$koi8<title>%C3%A9</title>" é
    titles_as 'text/html;charset=nonsense' "$koi8<title>%C3%A9</title>" 'ц╘'
    titles_as text/html "$koi8<title>%C3%A9</title>" 'ц╘'
    titles_as text/html "<title>%C3%A9</title>$koi8" 'ц╘'
    titles_as text/html "<meta http-equiv=content-type content='text/html;charset=big5'>\
<title>%A4%A4</title>" 中
}

@test "a <meta charset> behind the first 1,024 bytes counts if nothing else is declared" {
    local padding late='<meta charset=windows-1251>' title='<title>%CF%F0%E8</title>'
    padding="<script>$(printf 'x=1;%.0s' {1..300})</script>"
    titles_as text/html "$padding$late$title" При
    titles_as text/html "$padding$title<p>x</p>$late" При
    titles_as text/html "$padding<body>$title<p><b>$late" При
    titles_as text/html "$padding<h1>%CF%F0%E8</h1>$late" При
    titles_as text/html "$padding$late<meta charset=koi8-r>$title" При
    titles_as text/html "$padding<!--$late--><script>'$late'</script>$title" 'Ïðè'
    titles_as 'text/html;charset=koi8-r' "$padding$late$title" 'оПХ'
    titles_as text/html "<meta charset=koi8-r>$padding$late$title" 'оПХ'
    titles_as text/html "$padding<title>%C3%A9</title>" é
    titles_as text/html "$padding<title>%C3%A9</title><p>%FF</p>" é
}

@test "a title is told as soon as it is known what it says" {
    local padding body url
    padding="<script>$(printf 'x=1;%.0s' {1..300})</script>"
    for body in "$padding<meta charset=windows-1251><title>%CF%F0%E8</title>" \
        "$padding<!--%CF--><title>ASCII</title>" "$padding<title>&eacute;</title>" \
        '<meta charset=windows-1251><title>%CF%F0%E8</title>' '%EF%BB%BF<title>é</title>'; do
        url=$(say "$body" type=text/html)
        fetch "${url/say/stall}"
        assert_status 0
    done
    url=$(say '<title>%1B$B%3C!%1B(B</title>' 'type=text/html;charset=iso-2022-jp')
    fetch "${url/say/stall}"
    assert_title 次
}

@test "an XML declaration names the character set, in XHTML before a <meta>" {
    local xml='<?xml version="1.0" encoding="windows-1251"?>' koi8='<meta charset=koi8-r>'
    local title='<title>%CF%F0%E8</title>' utf16='' letter text='<?xml version="1.0"?><title>A'
    titles_as text/html "$xml$title" При
    titles_as text/html "$xml$koi8$title" 'оПХ'
    titles_as application/xhtml%2Bxml "$xml$koi8$title" При
    titles_as 'application/xhtml%2Bxml;charset=koi8-r' "$xml$title" 'оПХ'
    titles_as application/xhtml%2Bxml "$koi8$title" 'оПХ'
    for ((i = 0; i < ${#text}; i++)); do
        printf -v letter '%%%02X' "'${text:i:1}"
        utf16+=$letter%00
    done
    titles_as text/html "$utf16%E9%00<%00/%00t%00i%00t%00l%00e%00>%00" Aé
}

@test "noncharacters stay, and references beyond Unicode are U+FFFD" {
    titles $'<title>a\uFFFEb\uFDD0c</title>' $'a\uFFFEb\uFDD0c'
    titles '<title>x&#4294967361;y&#xFFFF;</title>' $'x�y\uFFFF'
}

@test "a page in UTF-16 is read, whichever end comes first" {
    local big='%FE%FF' little='%FF%FE' letter text='<title>Aé</title><p>'
    for ((i = 0; i < ${#text}; i++)); do
        printf -v letter '%%%02X' "'${text:i:1}"
        big+=%00$letter
        little+=$letter%00
    done
    titles_as text/html "$big" Aé
    titles_as text/html "$little" Aé
    titles_as 'text/html;charset=utf-16le' "${little#%FF%FE}" Aé
    titles_as 'text/html;charset=utf-16be' "${big#%FE%FF}" Aé
}

@test "without a declaration it is UTF-8 if the bytes are, else windows-1252" {
    titles_as text/html '<title>%C3%A9</title>' é
    titles_as text/html '<title>%93%E9%94</title>' '“é”'
    titles_as text/html '<h1>%E9</h1>' é
}

@test "labels mean what browsers take them to mean" {
    titles_as 'text/html;charset=iso-8859-1' '<title>%80</title>' €
    titles_as 'text/html;charset=ascii' '<title>%99</title>' ™
    titles_as 'text/html;charset=gb2312' '<title>%E9F</title>' 镕
    titles_as 'text/html;charset=shift_jis' '<title>%87@</title>' ①
    titles_as 'text/html;charset=euc-kr' '<title>%8Cc</title>' 똠
}

@test "bytes that stand for nothing in their character set cost one U+FFFD, and no more" {
    titles_as 'text/html;charset=euc-kr' '<title>%C9%A1%B0%A1%B3%AA</title>' '�가나'
    titles_as 'text/html;charset=euc-kr' '<title>%B0%A1%B3</title>' '가�'
    titles_as 'text/html;charset=big5' '<title>%A4%A4%9D%EF%A4%E5</title>' '中嘅文'
    titles_as 'text/html;charset=gb2312' '<title>A%A3%A0B</title>' 'A B'
    titles_as 'text/html;charset=koi8-u' '<title>%93</title>' '⌠'
}

@test "3,000 pages made at random have the titles that html5lib finds" {
    run /usr/bin/python3 "$ROOT/tests/shared/compare_titles.py" "$PROGRAM"
    assert_success
    assert_output '3000 pages, 0 different titles'
}
