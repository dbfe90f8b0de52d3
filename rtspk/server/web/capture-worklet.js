// Runs on the audio thread: gathers 100 ms, turns it into 16-bit samples, and hands it on with its loudness.

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate / 10));
    this.filled = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (!channels.length) return true;
    const length = channels[0].length;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.block[this.filled++] = sum / channels.length;
      if (this.filled === this.block.length) this.give();
    }
    return true;
  }

  give() {
    const samples = new Int16Array(this.filled);
    let energy = 0;
    for (let i = 0; i < this.filled; i++) {
      const value = Math.max(-1, Math.min(1, this.block[i]));
      energy += value * value;
      samples[i] = Math.round(value * 32767);
    }
    const level = Math.sqrt(energy / this.filled);
    this.port.postMessage({ samples, level }, [samples.buffer]);
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
