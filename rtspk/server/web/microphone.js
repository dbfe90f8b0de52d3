// The microphone as 16-bit mono samples, 100 ms at a time, at the sound card's own rate.

export class Microphone {
  // onSound(samples: Int16Array, level: number) hears what is said.
  static async open(onSound) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The browser gives no microphone here: it wants https, or localhost.");
    }
    // What makes a voice pleasant in a call makes it harder to tell from another.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const context = new AudioContext();
    try {
      await context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      throw error;
    }
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => onSound(data.samples, data.level);
    context.createMediaStreamSource(stream).connect(node);
    await context.resume();
    return new Microphone(stream, context, node);
  }

  constructor(stream, context, node) {
    this.stream = stream;
    this.context = context;
    this.node = node;
    this.rate = context.sampleRate;
    // A microphone that is unplugged ends its track.
    this.gone = new Promise((resolve) => {
      stream.getAudioTracks()[0].addEventListener("ended", resolve, { once: true });
    });
  }

  close() {
    this.node.port.onmessage = null;
    for (const track of this.stream.getTracks()) track.stop();
    return this.context.close();
  }
}

const FILE_RATE = 48000; // most files' own; the server makes of it what it listens to, better than a browser does

// Decodes a whole file: { samples: Int16Array, rate }, the mean of its channels.
export async function decodeFile(file) {
  const context = new OfflineAudioContext(1, 1, FILE_RATE);
  const sound = await context.decodeAudioData(await file.arrayBuffer());
  const samples = new Int16Array(sound.length);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, n) => sound.getChannelData(n));
  for (let i = 0; i < sound.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    samples[i] = Math.max(-32768, Math.min(32767, Math.round((sum / channels.length) * 32767)));
  }
  return { samples, rate: sound.sampleRate };
}

// A WAV file of 16-bit mono samples.
export function wavOf(parts, rate) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((letter, n) => head.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + length * 2, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, length * 2, true);
  return new Blob([head, ...parts], { type: "audio/wav" });
}
