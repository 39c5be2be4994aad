// The camera, where the browser gives it.

const LONGEST = 640; // pixels along the longer side of a picture that is sent

const REASONS = {
  NotAllowedError: "the browser was not allowed to use it",
  NotFoundError: "there is none",
  NotReadableError: "another program has it",
};

export class Camera {
  // `ended` is called when it stops by itself: pulled out, or forbidden.
  constructor(video, ended) {
    this.video = video;
    this.ended = ended;
    this.stream = null;
  }

  // Browsers give a camera only to pages of this machine, or over https.
  static get there() {
    return Boolean(window.isSecureContext && navigator.mediaDevices?.getUserMedia);
  }

  get runs() {
    return this.stream !== null;
  }

  async start() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    } catch (error) {
      throw new Error(`No camera: ${REASONS[error.name] ?? error.message}.`);
    }
    this.stream = stream;
    for (const track of stream.getTracks()) track.onended = this.ended;
    this.video.srcObject = stream;
    this.video.hidden = false;
    await this.video.play();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    this.video.hidden = true;
  }

  // What it sees now; null before its first picture.
  picture() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.runs || !width) return Promise.resolve(null);
    const scale = Math.min(1, LONGEST / Math.max(width, height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.getContext("2d").drawImage(this.video, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  }
}
