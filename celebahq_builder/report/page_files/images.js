// Images: thumbnails out of sheets, and faces out of their photographs where no thumbnail was stored.

const SHEETS_KEPT = 48; // decoded at once, so that 30,000 faces need no more memory than a screenful
const PHOTOS_KEPT = 4;
const PHOTOS_AT_ONCE = 3;

const hasThumbnail = (i) => Boolean(page.sheets) && rowOf(i) >= 0;
const quadOf = (i) => columns.get("quad")?.at(i) ?? null;

function recent(most) {
  const found = new Map();
  return (key, begin) => {
    const value = found.get(key) ?? begin();
    found.delete(key);
    found.set(key, value);
    value.catch(() => found.get(key) === value && found.delete(key)); // it may be asked for again
    if (found.size > most) found.delete(found.keys().next().value);
    return value;
  };
}

function decoded(address) {
  const image = new Image();
  image.src = address;
  return image.decode().then(() => image);
}

const sheetCache = recent(SHEETS_KEPT);
const sheetOf = (number) => sheetCache(number, () => decoded(page.sheets.addresses[number]));

async function drawThumbnail(canvas, i, wanted) {
  const { side, columns: across, count: perSheet } = page.sheets;
  const row = rowOf(i);
  const image = await sheetOf(Math.floor(row / perSheet));
  if (!wanted()) return;
  const place = row % perSheet;
  canvas.width = canvas.height = side;
  canvas.classList.toggle("pixels", side < 64);
  const [x, y] = [(place % across) * side, Math.floor(place / across) * side];
  canvas.getContext("2d").drawImage(image, x, y, side, side, 0, 0, side, side);
}

// Photographs are large: a few at a time, and none for a cell that has left the screen.
const photoCache = recent(PHOTOS_KEPT);
const photosWaiting = [];
let photosLoading = 0;

function photoOf(i, wanted = () => true) {
  return photoCache(ids[i].replace(/#-?\d+$/, ""), () => new Promise((resolve, reject) => {
    photosWaiting.push({ address: photoAddress(i), wanted, resolve, reject });
    nextPhoto();
  }));
}

function nextPhoto() {
  while (photosLoading < PHOTOS_AT_ONCE && photosWaiting.length) {
    const { address, wanted, resolve, reject } = photosWaiting.shift();
    if (!address || !wanted()) {
      reject(new Error("not wanted any more"));
      continue;
    }
    photosLoading += 1;
    decoded(address).then(resolve, reject).finally(() => {
      photosLoading -= 1;
      nextPhoto();
    });
  }
}

// Pixels of the image for each pixel of the photo as it was decoded; 0 where it is another photo. Files of before do
// not say how large it was.
function photoScale(i, image) {
  const [w, h] = [numberAt("width", i), numberAt("height", i)];
  if (!(w > 0 && h > 0)) return 1;
  const scale = image.naturalWidth / w;
  return Math.abs(image.naturalHeight - h * scale) <= 1 + h * scale * 0.01 ? scale : 0;
}

// The part of a photo within the box, turned upright: what the face was before anything was done to it.
function drawQuad(canvas, i, image, side) {
  const quad = quadOf(i);
  const scale = photoScale(i, image);
  if (!quad || !scale) return false;
  const [x0, y0, x1, y1, , , x3, y3] = quad.map((x) => x * scale);
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  const box = new DOMMatrix([(x3 - x0) / side, (y3 - y0) / side, (x1 - x0) / side, (y1 - y0) / side, x0, y0]);
  context.imageSmoothingQuality = "high";
  context.setTransform(box.inverse());
  context.drawImage(image, 0, 0);
  return true;
}

function drawFitted(canvas, image, side) {
  const scale = Math.min(side / image.naturalWidth, side / image.naturalHeight, 1);
  const [w, h] = [image.naturalWidth * scale, image.naturalHeight * scale].map((x) => Math.max(1, Math.round(x)));
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, w, h);
}

// Draw whatever image there is of a row; returns "face", "photo" or "" for none.
async function drawRow(canvas, i, wanted) {
  await null; // by then the canvas is where it will be seen
  try {
    if (hasThumbnail(i)) {
      await drawThumbnail(canvas, i, wanted);
      return "face";
    }
    const stored = page.images[ids[i]];
    if (stored && !quadOf(i)) {
      drawFitted(canvas, await decoded(stored), 256);
      return "photo";
    }
    if (photoAddress(i)) {
      const image = await photoOf(i, wanted);
      if (!wanted()) return "";
      if (quadOf(i) && drawQuad(canvas, i, image, 128)) return "face";
      drawFitted(canvas, image, 256);
      return "photo";
    }
    if (stored) {
      drawFitted(canvas, await decoded(stored), 256);
      return "photo";
    }
  } catch {
    const stored = page.images[ids[i]];
    if (stored) {
      drawFitted(canvas, await decoded(stored), 256);
      return "photo";
    }
  }
  return "";
}
