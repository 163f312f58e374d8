"""Source to topic: slot → fetch → archive → parse → encode → one Kafka transaction per chunk."""
