// A sheet of paper to draw on: by mouse, pen, finger or keyboard.

const WIDTH = 24; // of a stroke, in pixels of the canvas
const STEP = 12; // of the keyboard's pen
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Drawing {
  // `changed` is called with every stroke, `cleared` when the paper is blank again.
  constructor(canvas, pen, changed, cleared) {
    Object.assign(this, { canvas, pen, changed, cleared });
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.at = [canvas.width / 2, canvas.height / 2];
    this.wipe();
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => (pen.hidden = !canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => (pen.hidden = true));
    this.placePen();
  }

  wipe() {
    this.blank = true;
    this.laid = false;
    this.context.fillStyle = "#fff";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  clear() {
    this.wipe();
    this.cleared();
  }

  // A picture all over the paper; the next stroke begins on blank paper.
  async lay(picture) {
    const bitmap = await createImageBitmap(picture);
    this.wipe();
    this.blank = false;
    this.laid = true;
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
  }

  line(from, to) {
    const { context } = this;
    if (this.laid) this.wipe();
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = WIDTH;
    context.strokeStyle = "#111";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    this.blank = false;
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * this.canvas.width) / box.width,
      ((event.clientY - box.top) * this.canvas.height) / box.height,
    ];
  }

  press(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pen.hidden = true;
    this.at = this.place(event);
    this.line(this.at, this.at);
    this.changed();
  }

  drag(event) {
    if (!this.canvas.hasPointerCapture(event.pointerId)) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) {
      const to = this.place(move);
      this.line(this.at, to);
      this.at = to;
    }
    this.changed();
  }

  key(event) {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.clear();
      return;
    }
    const arrow = ARROWS[event.key];
    if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const limits = [this.canvas.width, this.canvas.height];
    const to = this.at.map((value, axis) => Math.min(Math.max(value + STEP * arrow[axis], 0), limits[axis]));
    if (event.shiftKey) {
      this.line(this.at, to);
      this.changed();
    }
    this.at = to;
    this.placePen();
  }

  placePen() {
    this.pen.hidden = document.activeElement !== this.canvas;
    this.pen.style.left = `${(100 * this.at[0]) / this.canvas.width}%`;
    this.pen.style.top = `${(100 * this.at[1]) / this.canvas.height}%`;
  }

  // What is on the paper; null if it is blank.
  async picture() {
    const made = await new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
    return this.blank ? null : made;
  }
}
