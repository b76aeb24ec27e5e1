{{/* The container that makes the topics: apart, because the Job's name is made from it. */}}
{{- define "pipeline.topics" -}}
{{- with .Values.delivery }}
{{- $longest := add (int .requestRetentionHours) (int .segmentHours) }}
{{- if le (int .answerRetentionHours) (int $longest) }}
{{- fail (printf "delivery.answerRetentionHours must be more than %d (requestRetentionHours + segmentHours); got %d; raise it: a request that outlives its answer would be answered again" $longest (int .answerRetentionHours)) }}
{{- end }}
{{- end }}
- name: topics
  {{- include "pipeline.image" . | nindent 2 }}
  args: ["python3", "-m", "apps.common.topics"]
  env:
    {{- with .Values.delivery }}
    - name: BATON_PARTITIONS
      value: {{ .partitions | quote }}
    - name: BATON_REQUEST_RETENTION_HOURS
      value: {{ .requestRetentionHours | quote }}
    - name: BATON_ANSWER_RETENTION_HOURS
      value: {{ .answerRetentionHours | quote }}
    - name: BATON_SEGMENT_HOURS
      value: {{ .segmentHours | quote }}
    - name: BATON_MESSAGE_MAX_BYTES
      value: {{ .messageMaxBytes | int64 | quote }}
    {{- end }}
  envFrom:
    - configMapRef:
        name: apps
  securityContext:
    {{- include "pipeline.restricted" false | nindent 4 }}
  resources:
    {{- toYaml .Values.topics.resources | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- include "pipeline.kafka.mount" . | nindent 4 }}
{{- end }}
