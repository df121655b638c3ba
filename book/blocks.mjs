// The blocks of code in a README, and the prose that explains each.
//
// A README names the file that a block is from (tests/prose/README.md): ```c FILE

const FENCE = /^```/

// blocksOf(readme): each block as { file, code, prose }: the lines of code, and the paragraphs
// about them, in Markdown.
export function blocksOf(readme) {
  const blocks = []
  let before = [] // the paragraphs since the last heading or block
  let last = null // the block that they may also be about: the one above them
  for (const part of partsOf(readme)) {
    if (part.kind === 'prose') {
      before.push(part.text)
      continue
    }
    const begin = last === null ? 0 : beginOfNext(before, part.kind)
    if (last !== null) last.prose.push(...before.slice(0, begin))
    const file = part.kind === 'block' && part.text.match(/^```c (\S+)/)?.[1]
    last = file ? { file, code: codeOf(part.text), prose: before.slice(begin) } : null
    if (last !== null) blocks.push(last)
    before = []
  }
  return blocks.map((block) => ({ ...block, prose: block.prose.join('\n\n') }))
}

// Of the paragraphs between two blocks, the first that is about the second one: where a new
// subject begins, in bold, or else the last paragraph.
function beginOfNext(paragraphs, kind) {
  const subject = paragraphs.findIndex((text) => text.startsWith('**'))
  if (subject >= 0) return subject
  return kind === 'block' ? Math.max(paragraphs.length - 1, 0) : paragraphs.length
}

// A README in parts: headings, blocks and paragraphs. A table is a paragraph.
function* partsOf(readme) {
  const lines = [...readme.split('\n'), '# the end']
  let text = []
  for (let i = 0; i < lines.length; i++) {
    const isHeading = lines[i].startsWith('#')
    const isFence = FENCE.test(lines[i])
    if (isHeading || isFence || lines[i] === '') {
      if (text.length > 0) yield { kind: 'prose', text: text.join('\n') }
      text = []
    }
    if (isHeading) {
      yield { kind: 'heading', text: lines[i] }
    } else if (isFence) {
      const end = lines.findIndex((line, j) => j > i && FENCE.test(line))
      yield { kind: 'block', text: lines.slice(i, end + 1).join('\n') }
      i = end
    } else if (lines[i] !== '') {
      text.push(lines[i])
    }
  }
}

function codeOf(block) {
  return block.split('\n').slice(1, -1)
}

// placeOf(code, source): the numbers of the lines of the source that the block shows, from 1;
// none if they are not there. The block may be indented otherwise, and `...` is any lines.
export function placeOf(code, source) {
  const lines = source.map((line) => line.trim())
  const place = []
  let from = 0
  for (const piece of piecesOf(code)) {
    const at = lines.findIndex((_, i) => i >= from && piece.every((line, j) => lines[i + j] === line))
    if (at < 0) return []
    place.push(...piece.map((_, j) => at + j + 1))
    from = at + piece.length
  }
  return place
}

function piecesOf(code) {
  const pieces = [[]]
  for (const line of code.map((line) => line.trim())) {
    if (line === '...') pieces.push([])
    else pieces.at(-1).push(line)
  }
  return pieces.filter((piece) => piece.length > 0)
}
