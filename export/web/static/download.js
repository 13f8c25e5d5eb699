// Fetch a file of this page, telling how much has come.

// Returns an ArrayBuffer. size: its bytes, known from page.json, because a server that compresses does not say.
export async function download(url, size = 0, onProgress = () => {}) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${name(url)} could not be fetched: is the server still running?`);
  }
  if (!response.ok) throw new Error(`${name(url)} could not be fetched: the server answers ${response.status}`);
  const parts = [];
  let received = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.length;
    onProgress(received, Math.max(size, received));
  }
  if (size && received !== size) throw new Error(`${name(url)} has ${received} bytes, ${size} are wanted: copy it again`);
  return new Blob(parts).arrayBuffer();
}

const name = (url) => new URL(url, location.href).pathname.split("/").pop();
