import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** The hold workload on Kafka Streams, exactly_once_v2: an order, its lot checked, its cost held on the account. */
public final class HoldPeer {
  private static final String STORE = "balances";
  private static final BigInteger UNIT = BigInteger.valueOf(100_000_000L);

  /** One record type in the Confluent frame: a zero, the schema's id in four bytes, the body. */
  private static final class Codec {
    private static final byte[] FRAME = {0, 0, 0, 0, 1};
    final Schema schema;
    private final GenericDatumReader<GenericRecord> reader;
    private final GenericDatumWriter<GenericRecord> writer;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
    private BinaryDecoder decoder;
    private BinaryEncoder encoder;

    Codec(Path file) throws IOException {
      schema = new Schema.Parser().parse(Files.readString(file));
      reader = new GenericDatumReader<>(schema);
      writer = new GenericDatumWriter<>(schema);
    }

    GenericRecord decode(byte[] data) throws IOException {
      decoder = DecoderFactory.get().binaryDecoder(data, 5, data.length - 5, decoder);
      return reader.read(null, decoder);
    }

    byte[] encode(GenericRecord record) throws IOException {
      bytes.reset();
      bytes.writeBytes(FRAME);
      encoder = EncoderFactory.get().directBinaryEncoder(bytes, encoder);
      writer.write(record, encoder);
      encoder.flush();
      return bytes.toByteArray();
    }
  }

  /** Decides orders; one instance for each task, so its codecs are never shared. */
  private static final class Hold implements Processor<String, byte[], String, byte[]> {
    private final Codec orders;
    private final Codec decisions;
    private final Codec balances;
    private final long lot;
    private final long opening;
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, byte[]> store;

    Hold(Path schemas, long lot, long opening) {
      try {
        orders = new Codec(schemas.resolve("order.avsc"));
        decisions = new Codec(schemas.resolve("decision.avsc"));
        balances = new Codec(schemas.resolve("balance.avsc"));
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
      this.lot = lot;
      this.opening = opening;
    }

    @Override
    public void init(ProcessorContext<String, byte[]> given) {
      context = given;
      store = given.getStateStore(STORE);
    }

    @Override
    public void process(Record<String, byte[]> record) {
      try {
        decide(record);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    private void decide(Record<String, byte[]> record) throws IOException {
      GenericRecord order = orders.decode(record.value());
      String account = order.get("account").toString();
      byte[] kept = store.get(account);
      long total = opening;
      long reserved = 0;
      long count = 0;
      if (kept != null) {
        GenericRecord balance = balances.decode(kept);
        total = (Long) balance.get("total");
        reserved = (Long) balance.get("reserved");
        count = (Long) balance.get("n");
      }
      long quantity = (Long) order.get("quantity");
      // The product needs more than 64 bits.
      long cost =
          BigInteger.valueOf(quantity)
              .multiply(BigInteger.valueOf((Long) order.get("price")))
              .divide(UNIT)
              .longValueExact();
      String reason = null;
      if (quantity % lot != 0) {
        reason = "lot_size";
      } else if (total - reserved < cost) {
        reason = "insufficient_available_balance";
      }
      if (reason == null) {
        reserved += cost;
        GenericRecord balance = new GenericData.Record(balances.schema);
        balance.put("total", total);
        balance.put("reserved", reserved);
        balance.put("n", count + 1);
        store.put(account, balances.encode(balance));
      }
      GenericRecord decision = new GenericData.Record(decisions.schema);
      decision.put("order_id", order.get("order_id"));
      decision.put("account", account);
      decision.put("accepted", reason == null);
      decision.put("reason", reason);
      decision.put("reserved", reason == null ? cost : 0L);
      decision.put("available", total - reserved);
      context.forward(record.withValue(decisions.encode(decision)));
    }
  }

  private static String told(String name) {
    String value = System.getenv(name);
    if (value == null) {
      throw new IllegalArgumentException(name + " is not set");
    }
    return value;
  }

  private static Properties settings() {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, told("BENCH_GROUP"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told("BENCH_BOOTSTRAP"));
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, told("BENCH_COMMIT_MS"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, told("BENCH_STATE_DIR"));
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    return settings;
  }

  /** Runs until it is ended. */
  public static void main(String[] arguments) throws InterruptedException {
    KeyValueBytesStoreSupplier kind =
        told("BENCH_STORE").equals("rocksdb")
            ? Stores.persistentKeyValueStore(STORE)
            : Stores.inMemoryKeyValueStore(STORE);
    StoreBuilder<KeyValueStore<String, byte[]>> store =
        Stores.keyValueStoreBuilder(kind, Serdes.String(), Serdes.ByteArray());
    if (told("BENCH_CACHING").equals("1")) {
      store = store.withCachingEnabled();
    }
    Path schemas = Path.of(told("BENCH_SCHEMAS"));
    long lot = Long.parseLong(told("BENCH_LOT"));
    long opening = Long.parseLong(told("BENCH_OPENING"));
    Topology topology = new Topology();
    topology.addSource("orders", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), told("BENCH_ORDERS"));
    topology.addProcessor("hold", () -> new Hold(schemas, lot, opening), "orders");
    topology.addStateStore(store, "hold");
    topology.addSink("decisions", told("BENCH_DECISIONS"), Serdes.String().serializer(), Serdes.ByteArray().serializer(), "hold");
    KafkaStreams streams = new KafkaStreams(topology, settings());
    CountDownLatch failed = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          failed.countDown();
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    streams.start();
    failed.await();
    Runtime.getRuntime().halt(1);
  }
}
