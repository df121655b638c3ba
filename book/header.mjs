// The documentation in a header: the comment at its top, and the comment above each
// declaration, as Markdown.

// In a comment, only `quotes` are Markdown.
const QUOTED_OR_SPECIAL = /`[^`]*`|[<*[\]{}]/g

const COMMENT = /^\/\*([^]*?)\*\/\n/gm

// documentationOf(source): { about, entries }; an entry is { name, text, declaration }.
export function documentationOf(source) {
  const comments = [...source.matchAll(COMMENT)]
  const isAbout = comments[0]?.index === 0
  return {
    about: isAbout ? textOf(comments[0][1]) : '',
    entries: comments
      .slice(isAbout ? 1 : 0)
      .map((comment) => entryOf(textOf(comment[1]), source.slice(comment.index + comment[0].length)))
      .filter((entry) => entry !== null)
  }
}

// A comment above nothing, such as a heading, documents nothing.
function entryOf(text, rest) {
  const declaration = declarationOf(rest)
  const name = nameOf(declaration)
  return name === undefined ? null : { name, text, declaration }
}

// Up to the next empty line, without a function's body: a comment may be about several.
function declarationOf(rest) {
  const lines = []
  let isInBraces = false
  for (const line of rest.split('\n')) {
    if (!isInBraces && (line === '' || line === '{' || line.startsWith('/*'))) break
    lines.push(line)
    isInBraces = line.endsWith('{') || (isInBraces && !line.startsWith('}'))
  }
  return lines.join('\n')
}

function nameOf(declaration) {
  return (
    declaration.match(/^(?:struct|enum|union) \w+(?= \{)/)?.[0] ??
    declaration.match(/^#define (\w+)/)?.[1] ??
    declaration.match(/^typedef .*\(\*(\w+)\)/)?.[1] ??
    declaration.match(/(\w+)\(/)?.[1]
  )
}

// Paragraphs and lists are Markdown's too. What else is indented, or has columns, is a drawing.
function textOf(comment) {
  const margin = comment.includes('\n *') ? /^ \* ?/gm : /^ {1,3}/gm
  const paragraphs = comment
    .replace(margin, '')
    .trimEnd()
    .split(/\n\s*\n/)
  return paragraphs.map(paragraphOf).join('\n\n')
}

function paragraphOf(text) {
  const lines = text.split('\n').filter((line) => line !== '')
  const indent = Math.min(...lines.map((line) => line.search(/\S/)))
  const plain = lines.map((line) => line.slice(indent)).join('\n')
  const isDrawing = (indent > 0 && !plain.startsWith('- ')) || /\S {3,}\S/.test(plain)
  return isDrawing ? plain.replace(/^/gm, '    ') : plain.replace(QUOTED_OR_SPECIAL, escape)
}

function escape(match) {
  return match.length === 1 ? `\\${match}` : match
}
